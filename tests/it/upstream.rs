//! The scenarios of the C library's own tests, told anew from their description: `tests/SCENARIOS.md`.

use std::fs;
use std::path::Path;

/// The scenarios, in the groups that their programs make.
const SCENARIOS: &[(&str, &str)] = &[
    (
        "testsuite",
        "context fd_speed1 fd_speed2 fd_speed3 fd1 fd2 fd3 wrapper free_wrapper threaded_poll_mt \
         multi_tevent_threaded multi_tevent_threaded_1 multi_tevent_threaded_2 cached_getpid",
    ),
    ("req", "create profile1 profile2"),
    ("tag", "fd timer signal immediate queue_entry"),
    ("trace", "fd__loop fd__reset fd__free fd__free_in_handler"),
    (
        "trace",
        "timer__loop timer__reset timer__free timer__free_in_handler",
    ),
    (
        "trace",
        "signal__loop signal__reset signal__free signal__free_in_handler",
    ),
    (
        "trace",
        "immediate__loop immediate__reset immediate__free immediate__free_in_handler \
         immediate__reschedule",
    ),
    ("trace", "queue__loop queue__extra"),
    (
        "trace",
        "get_set_trace_fd_callback get_set_trace_timer_callback get_set_trace_signal_callback \
         get_set_trace_immediate_callback get_set_trace_queue_callback",
    ),
    (
        "bindings",
        "backend_list context re_initialise empty_loop_wait add_signal timer_zero \
         timer_dropped_handle timer_destroyed_context timer_order",
    ),
    ("bsd_addr", "from_strings from_hostport"),
    (
        "tstream",
        "read_write read_after_close write_after_close fill fill_then_close fill_then_shut_wr \
         fill_then_shut_rd",
    ),
    (
        "tstream",
        "disconnected_tcp disconnected_unix unread_tcp unread_unix unread_disconnected_tcp \
         unread_disconnected_unix user_timeout_tcp",
    ),
];

/// Whether `test` (`module::function`) is a test of this program.
pub(crate) fn is_a_test(test: &str) -> bool {
    let Some((module, function)) = test.rsplit_once("::") else {
        return false;
    };
    let path = format!("it/{}.rs", module.replace("::", "/"));
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    source.is_ok_and(|source| source.contains(&format!("#[test]\nfn {function}() ")))
}

#[test]
fn every_scenario_has_its_test_or_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SCENARIOS.md");
    let table = fs::read_to_string(path).expect("the table of scenarios is there");
    let mut lines = table.lines().filter(|line| line.starts_with("| `"));
    for (group, names) in SCENARIOS {
        for name in names.split_whitespace() {
            let scenario = format!("`{group}/{name}`");
            let line = lines.next().unwrap_or("");
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            assert_eq!(
                cells.get(1),
                Some(&&*scenario),
                "the next line of the table"
            );
            assert_eq!(cells.len(), 5, "{line}");
            let (tests, remark) = (cells[2], cells[3]);
            if tests == "–" {
                assert!(!remark.is_empty(), "{scenario}: why is there no test?");
                continue;
            }
            for test in tests.split(", ") {
                assert!(is_a_test(test.trim_matches('`')), "there is no test {test}");
            }
        }
    }
    assert_eq!(lines.next(), None, "a scenario that is not in the list");
}
