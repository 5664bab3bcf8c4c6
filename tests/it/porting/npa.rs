//! The porting guide of named pipes: Samba's `npa_tstream.h`.

use super::Guide;

const GUIDE: Guide = Guide {
    name: "tsocket-npa",
    above: &[],
    names: &[
        ("tstream_npa_accept_existing_", "send recv"),
        ("tstream_npa_connect_", "send recv"),
        ("tstream_npa_existing_", "socket stream"),
    ],
};

super::guide_tests!(GUIDE, 6);
