//! [`Smbd`], a private Samba on this machine for the time of one story.

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// The account that may log in: one that every Debian has.
pub(crate) const USER: &str = "daemon";
pub(crate) const PASSWORD: &str = "npa-Secret1";

/// Where Samba's helper programs are.
const HELPERS: [&str; 2] = ["/usr/libexec/samba", "/usr/lib/x86_64-linux-gnu/samba"];

/// How long a server may take to be ready; it takes a tenth of a second.
const START_TIME: Duration = Duration::from_secs(20);

/// How often a port is chosen: somebody else may take it before smbd does.
const PORT_ATTEMPTS: usize = 3;

/// A private smbd, and its processes and files for as long as it lives.
#[derive(Debug)]
pub(crate) struct Smbd {
    // Before the directory: what runs in it ends first.
    processes: Vec<Service>,
    directory: TempDir,
    port: u16,
}

/// A daemon and all it starts: a process group of its own.
#[derive(Debug)]
struct Service {
    main: Child,
    // Its children have the other end too, so the end of this is the end of all.
    output: ChildStdout,
}

/// What this machine lacks for stories about Samba, if anything.
fn missing() -> Option<&'static str> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !runs("smbd", &["--version"]) {
        return Some("no smbd (Debian: samba)");
    }
    if !runs("pdbedit", &["--version"]) {
        return Some("no pdbedit (Debian: samba-common-bin)");
    }
    if !runs("smbclient", &["--version"]) {
        return Some("no smbclient (Debian: smbclient)");
    }
    if !runs("python3", &["-c", "import impacket"]) {
        return Some("no impacket (pip install impacket)");
    }
    None
}

/// Whether nothing may be missing, as where it has just been installed.
fn is_required() -> bool {
    env::var_os("TEVENT_COUNTERPARTS").is_some_and(|value| value == "required")
}

/// Tells `story` of a private smbd; leaves it out, with a line, where the machine has none.
///
/// # Panics
/// If the story does, or takes too long; if Samba is missing and required.
#[track_caller]
pub(crate) fn with_smbd(story: impl FnOnce(&mut Smbd) + Send + 'static) {
    // Looked for once: starting python takes its time.
    static MISSING: OnceLock<Option<&str>> = OnceLock::new();
    if !rustix::process::geteuid().is_root() {
        left_out("smbd wants to be root");
        return;
    }
    match *MISSING.get_or_init(missing) {
        Some(what) if is_required() => panic!("TEVENT_COUNTERPARTS=required, and there is {what}"),
        Some(what) => left_out(what),
        None => tevent_tests::within_limit(|| story(&mut Smbd::start().expect("smbd starts"))),
    }
}

/// Says so once; past the test harness, which would keep it to itself.
fn left_out(what: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        writeln!(io::stderr(), "left out: stories about Samba: {what}").ok();
    });
}

impl Smbd {
    fn start() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("npa-").tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        for name in ["lock", "state", "cache", "private", "pid", "ncalrpc", "log"] {
            fs::create_dir(directory.path().join(name))?;
        }
        let mut smbd = Self {
            processes: Vec::new(),
            directory,
            port: 0,
        };
        smbd.configure()?;
        smbd.add_user()?;
        for _ in 1..PORT_ATTEMPTS {
            if smbd.launch("smbd".as_ref(), &[]).is_ok() {
                return Ok(smbd);
            }
            smbd.processes.clear();
            smbd.configure()?;
        }
        smbd.launch("smbd".as_ref(), &[])?;
        Ok(smbd)
    }

    /// Writes `smb.conf` for a port that is free at the moment.
    fn configure(&mut self) -> io::Result<()> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        self.port = free.local_addr()?.port();
        let base = self.directory.path().display();
        let port = self.port;
        let text = format!(
            "[global]
            server role = standalone server
            workgroup = NPAGROUP
            netbios name = NPATEST
            interfaces = 127.0.0.1
            bind interfaces only = yes
            smb ports = {port}
            disable netbios = yes
            lock directory = {base}/lock
            state directory = {base}/state
            cache directory = {base}/cache
            private dir = {base}/private
            pid directory = {base}/pid
            ncalrpc dir = {base}/ncalrpc
            passdb backend = tdbsam:{base}/private/passdb.tdb
            usershare path =
            log file = {base}/log/log.%m
            max log size = 0
            map to guest = never
            guest account = nobody
            restrict anonymous = 0
            load printers = no
            printing = bsd
            printcap name = /dev/null
            disable spoolss = yes
            rpc start on demand helpers = no
            "
        );
        fs::write(self.configuration(), text)
    }

    fn configuration(&self) -> PathBuf {
        self.directory.path().join("smb.conf")
    }

    fn add_user(&self) -> io::Result<()> {
        let mut pdbedit = Command::new("pdbedit")
            .arg("-s")
            .arg(self.configuration())
            .args(["-a", "-t", "-u", USER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut input = pdbedit.stdin.take().expect("its input is a pipe");
        write!(input, "{PASSWORD}\n{PASSWORD}\n")?;
        drop(input);
        match pdbedit.wait()? {
            status if status.success() => Ok(()),
            status => Err(io::Error::other(format!("pdbedit: {status}"))),
        }
    }

    /// Starts `program`, and waits until it says to its service manager that it is ready.
    fn launch(&mut self, program: &Path, arguments: &[PathBuf]) -> io::Result<()> {
        let manager = self
            .directory
            .path()
            .join(format!("ready{}", self.processes.len()));
        fs::remove_file(&manager).ok(); // Of an attempt that failed, or missing.
        let ready = UnixDatagram::bind(&manager)?;
        ready.set_read_timeout(Some(START_TIME))?;
        let mut main = Command::new(program)
            .args(["-F", "--no-process-group", "-s"])
            .arg(self.configuration())
            .args(arguments)
            .env("NOTIFY_SOCKET", &manager)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let output = main.stdout.take().expect("its output is a pipe");
        self.processes.push(Service { main, output });
        let mut note = [0; 1000];
        loop {
            let len = ready.recv(&mut note)?;
            if note[..len]
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"READY=1")
            {
                return Ok(());
            }
        }
    }

    /// Starts Samba's own services as servers of pipes: srvsvc, winreg and some more.
    pub(crate) fn start_services(&mut self) -> io::Result<()> {
        let helpers = HELPERS
            .map(Path::new)
            .into_iter()
            .find(|path| path.is_dir());
        let helpers = helpers.ok_or_else(|| io::Error::other("no samba-dcerpcd"))?;
        let services = ["rpcd_classic", "rpcd_winreg"].map(|name| helpers.join(name));
        self.launch(&helpers.join("samba-dcerpcd"), &services)
    }

    /// The directory of socket files.
    pub(crate) fn np_dir(&self) -> PathBuf {
        self.directory.path().join("ncalrpc/np")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let id = i32::try_from(self.main.id()).expect("a process id is positive");
        let group = Pid::from_raw(id).expect("a process id is positive");
        // Whoever has ended needs no signal.
        kill_process_group(group, Signal::TERM).ok();
        self.main.wait().ok();
        self.output.read_to_end(&mut Vec::new()).ok();
    }
}
