//! Pipes behind a real smbd, with real SMB clients in front.

use tevent_tests::scaled;

use crate::clients::Login;
use crate::server::{GREEK, Server};
use crate::smbd::with_smbd;

const SIZES: &str = "1,2,100,255,256,4096,32767,65534,65535";

const CONNECTION_REFUSED: &str = "0xc0000236";
const DISCONNECTED: &str = "0xc00000b0";
const INVALID_PARAMETER: &str = "0xc000000d";
const NOT_FOUND: &str = "0xc0000034";

#[test]
fn messages_of_every_size_come_back_whole() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        for login in [Login::Anonymous, Login::User] {
            assert_eq!(
                smbd.run_client(login, &["echo", "echo", "2", SIZES]),
                "ok 18"
            );
        }
    });
}

#[test]
fn bytes_come_back_in_order() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        let sizes = format!("{SIZES},65536,300000");
        for login in [Login::Anonymous, Login::User] {
            assert_eq!(
                smbd.run_client(login, &["bytes", "stream", "2", &sizes]),
                "ok 22"
            );
        }
    });
}

#[test]
fn a_transaction_is_a_message_there_and_one_back() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        for login in [Login::Anonymous, Login::User] {
            assert_eq!(
                smbd.run_client(login, &["echo", "transact", "2", SIZES]),
                "ok 18"
            );
        }
    });
}

#[test]
fn many_clients_at_a_time_get_their_own_answers() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        let (clients, messages) = (16, scaled(10, 500));
        let options = ["--clients", &clients.to_string(), "--dialect", "0x0210"];
        let command = ["echo", "echo", &messages.to_string(), "1000"];
        let answer = smbd.run_client(Login::User, &[&options[..], &command].concat());
        assert_eq!(answer, format!("ok {}", clients * messages));
    });
}

#[test]
fn a_pipe_can_be_opened_again_and_again() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        assert_eq!(
            smbd.run_client(Login::User, &["Echo", "open", "200"]),
            "ok 200"
        );
    });
}

#[test]
fn a_server_that_refuses_a_user_fails_the_open() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        let refused = |login, pipe| smbd.run_client(login, &[pipe, "refused"]);
        assert_eq!(refused(Login::Anonymous, "users"), INVALID_PARAMETER);
        assert_eq!(refused(Login::User, "users"), "done");
        assert_eq!(refused(Login::User, "nothing"), NOT_FOUND);
    });
}

#[test]
fn a_server_that_was_killed_is_missed_until_it_is_back() {
    with_smbd(|smbd| {
        let server = Server::start(&smbd.np_dir());
        let mut client = smbd.start_client(Login::User, &["echo", "orphaned"]);
        assert_eq!(client.line(), "open");
        server.kill();
        client.go_on();
        let statuses = format!("{DISCONNECTED} {DISCONNECTED} {CONNECTION_REFUSED}");
        assert_eq!(client.line(), statuses);
        let _server = Server::start(&smbd.np_dir());
        assert_eq!(
            smbd.run_client(Login::User, &["echo", "echo", "3", "100"]),
            "ok 3"
        );
    });
}

#[test]
fn the_server_is_told_who_the_user_is() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        let who = smbd.run_client(Login::User, &["whoami", "ask", "?"]);
        assert!(who.starts_with("NPATEST\\daemon (S-1-5-21-"), "{who}");
        assert!(who.contains(", uid 1) from 127.0.0.1:"), "{who}");
        let who = smbd.run_client(Login::Anonymous, &["whoami", "ask", "?"]);
        assert!(
            who.starts_with("NT AUTHORITY\\ANONYMOUS LOGON (S-1-5-7, uid "),
            "{who}"
        );
    });
}

#[test]
fn smbclient_opens_a_pipe() {
    with_smbd(|smbd| {
        let _server = Server::start(&smbd.np_dir());
        let text = smbd.run_smbclient(&format!("open ECHO; open {GREEK}; open nothing"));
        for name in ["ECHO", GREEK] {
            let opened = format!("open file \\{name}: for read/write fnum");
            assert!(text.contains(&opened), "{text}");
        }
        assert!(text.contains("NT_STATUS_OBJECT_NAME_NOT_FOUND"), "{text}");
    });
}
