//! The contract of streams, kept by every kind there is.

/// Makes a module of tests for each kind, one test for each clause of the contract.
macro_rules! kinds {
    ($($module:ident: $kind:ident,)*) => {
        $(
            mod $module {
                use tevent_tests::contract::{self, scaled_up};

                tsocket::stream_contract!(scaled_up(contract::$kind));
            }
        )*
    };
}

kinds! {
    memory: MEMORY,
    socketpair: SOCKETPAIR,
    unix: UNIX,
    tcp4: TCP4,
    tcp6: TCP6,
    message_over_memory: MESSAGE_OVER_MEMORY,
    byte_over_memory: BYTE_OVER_MEMORY,
    message_over_unix: MESSAGE_OVER_UNIX,
    byte_over_unix: BYTE_OVER_UNIX,
    message_over_chaos: MESSAGE_OVER_CHAOS,
    byte_over_chaos: BYTE_OVER_CHAOS,
    security_layer_over_memory: SECURITY_LAYER_OVER_MEMORY,
    tls_over_memory: TLS_OVER_MEMORY,
    tls_over_unix: TLS_OVER_UNIX,
    tls_over_tcp: TLS_OVER_TCP,
    tls_over_chaos: TLS_OVER_CHAOS,
    chaos_over_memory: CHAOS_OVER_MEMORY,
    chaos_over_tls: CHAOS_OVER_TLS,
}

#[test]
fn a_kind_that_is_not_here_is_held_to_nothing() {
    use tsocket::contract::stream::{CLAUSES, Kind, check};

    let absent = Kind {
        is_here: || false,
        ..Kind::new("absent", |_| unreachable!("it is not here"))
    };
    assert!(CLAUSES.len() >= 49);
    for clause in CLAUSES {
        check(absent, clause.name());
    }
}

#[test]
fn a_kind_that_breaks_a_clause_is_found_out() {
    use tevent_tests::expect_panic;
    use tsocket::contract::stream::{Kind, check};
    use tsocket::memory;

    let unconnected = Kind::new("unconnected", |ctx| {
        Ok((memory::stream_pair(ctx).0, memory::stream_pair(ctx).0))
    });
    expect_panic(|| check(unconnected, "bytes::a_read_gives_what_there_is"));
    let message = expect_panic(|| check(unconnected, "bytes::no_such_clause"));
    assert_eq!(message, "there is no clause bytes::no_such_clause");
}
