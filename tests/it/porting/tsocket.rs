//! The names of `tsocket.h` and their guide.

use super::Guide;

const GUIDE: Guide = Guide {
    name: "tsocket",
    above: &["tsocket-bsd"],
    names: &[
        ("tsocket_address_", "string copy is_inet is_unix"),
        (
            "tsocket_address_inet_",
            "from_strings from_hostport_strings addr_string port set_port",
        ),
        ("tsocket_address_unix_", "from_path path"),
        (
            "tsocket_address_bsd_",
            "from_sockaddr from_samba_sockaddr sockaddr",
        ),
        ("tdgram_recvfrom_", "send recv"),
        ("tdgram_sendto_", "send recv queue_send queue_recv"),
        ("tdgram_disconnect_", "send recv"),
        (
            "tdgram_",
            "inet_udp_socket inet_udp_broadcast_socket unix_socket",
        ),
        ("tdgram_bsd_", "existing_socket optimize_recvfrom"),
        ("tstream_", "pending_bytes unix_socketpair"),
        (
            "tstream_readv_",
            "send recv pdu_send pdu_recv pdu_queue_send pdu_queue_recv",
        ),
        ("tstream_writev_", "send recv queue_send queue_recv"),
        ("tstream_disconnect_", "send recv"),
        ("tstream_monitor_", "send recv"),
        ("tstream_inet_tcp_connect_", "send recv"),
        ("tstream_unix_connect_", "send recv"),
        (
            "tstream_bsd_",
            "existing_socket optimize_readv fail_readv_first_error",
        ),
        // Types, and what stands in the header for implementors.
        (
            "",
            "tsocket_address tdgram_context tstream_context tstream_readv_pdu_next_vector_t",
        ),
        (
            "",
            "tsocket_address_ops tsocket_address_create tsocket_simple_int_recv",
        ),
        ("tdgram_context_", "ops create data"),
        ("tstream_context_", "ops create data"),
    ],
};

const FUNCTION_COUNT: usize = 50;

super::guide_tests!(GUIDE, FUNCTION_COUNT + 4 + 9);
