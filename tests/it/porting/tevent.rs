//! The names of `tevent.h` and their guide.

use super::Guide;

const GUIDE: Guide = Guide {
    name: "tevent",
    above: &[],
    names: &[
        (
            "tevent_context_",
            "init init_byname init_ops set_wait_timeout",
        ),
        (
            "tevent_context_", // deprecated
            "wrapper_create is_wrapper push_use pop_use same_loop",
        ),
        (
            "tevent_",
            "backend_list set_default_backend register_backend find_ops_byname",
        ),
        (
            "tevent_",
            "loop_once loop_wait re_initialise set_abort_fn cached_getpid",
        ),
        ("tevent_loop_", "until allow_nesting set_nesting_hook"), // deprecated
        ("tevent_", "add_fd add_timer update_timer add_signal"),
        (
            "tevent_fd_",
            "set_flags get_flags set_close_fn set_auto_close set_tag get_tag",
        ),
        ("tevent_timer_", "set_tag get_tag"),
        (
            "tevent_",
            "create_immediate schedule_immediate reset_immediate",
        ),
        ("tevent_immediate_", "set_tag get_tag"),
        ("tevent_", "signal_support num_signals sa_info_queue_count"),
        ("tevent_signal_", "set_tag get_tag"),
        ("tevent_set_", "debug max_debug_level debug_stderr"),
        (
            "tevent_set_trace_",
            "callback fd_callback timer_callback signal_callback immediate_callback queue_callback",
        ),
        (
            "tevent_get_trace_",
            "callback fd_callback timer_callback signal_callback immediate_callback queue_callback",
        ),
        (
            "tevent_req_",
            "create set_callback callback_data callback_data_void data",
        ),
        (
            "tevent_req_",
            "done error nomem oom post defer_callback notify_callback",
        ),
        ("tevent_req_", "is_in_progress is_error poll received"),
        (
            "tevent_req_",
            "set_cleanup_fn set_cancel_fn cancel set_endtime reset_endtime",
        ),
        ("tevent_req_", "set_print_fn print default_print"),
        ("tevent_req_", "set_profile get_profile move_profile"),
        (
            "tevent_req_profile_",
            "get_name get_start get_stop get_status get_subprofiles next",
        ),
        (
            "tevent_req_profile_",
            "create set_name set_start set_stop set_status append_sub",
        ),
        ("tevent_wakeup_", "send recv"),
        (
            "tevent_timeval_",
            "compare zero current set until is_zero add current_ofs",
        ),
        ("tevent_thread_call_depth_", "set_callback reset_from_req"),
        ("tevent_thread_call_depth_", "activate deactivate start"), // deprecated
        (
            "tevent_queue_",
            "create add add_entry add_optimize_empty entry_untrigger",
        ),
        (
            "tevent_queue_",
            "start stop length running wait_send wait_recv",
        ),
        ("tevent_queue_entry_", "set_tag get_tag"),
        ("tevent_thread_proxy_", "create schedule"),
        ("tevent_threaded_", "context_create schedule_immediate"),
        // The macros that change one flag of a descriptor, and the memory under it all.
        (
            "TEVENT_FD_",
            "READABLE NOT_READABLE WRITEABLE NOT_WRITEABLE WANTERROR NOT_WANTERROR",
        ),
        ("", "talloc mem_ctx"),
    ],
};

const FUNCTION_COUNT: usize = 129;
const DEPRECATED_COUNT: usize = 11;

#[test]
fn what_is_deprecated_in_c_says_so() {
    let is_deprecated = |reason: &str| reason.contains("(deprecated in C)");
    assert_eq!(GUIDE.row_count(is_deprecated), DEPRECATED_COUNT);
}

super::guide_tests!(GUIDE, FUNCTION_COUNT + 6 + 2);
