//! A real mail server: Postfix with a configuration, a queue and mailboxes of its own, beside whatever this machine has. Takes
//! root, since Postfix does.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ibga_core::clock::Stopwatch;

use super::certificates::Certificates;
use super::common::{Desk, set_mode};
use super::port::free_port;

/// The user that the server lets in, with its password.
pub(crate) const USER: &str = "alice@localhost";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// Whoever owns the mailboxes: `nobody`.
const MAILBOX_OWNER: u32 = 65_534;

/// How long anything of it may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A server that runs until it is dropped. It takes mail of those who are logged in, for `jo` and `al` at `example.org`.
pub(crate) struct Postfix {
    child: Child,
    folder: PathBuf,
    /// Its port that begins in the clear and goes on under TLS alone.
    pub(crate) starttls: u16,
    /// Its port that begins with TLS.
    pub(crate) tls: u16,
}

impl Postfix {
    pub(crate) fn start(desk: &Desk, certificates: &Certificates) -> Self {
        let folder = desk.path("postfix");
        let (starttls, tls) = (free_port(), free_port());
        for name in ["conf/sasl", "queue", "data", "box"] {
            std::fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        // Its programs run as users of their own, who have to get there.
        set_mode(&desk.folder, 0o755);
        let owner = id_of("postfix");
        chown(folder.join("data"), Some(owner), None).expect("root");
        chown(folder.join("box"), Some(MAILBOX_OWNER), Some(MAILBOX_OWNER)).expect("root");
        let write = |name: &str, text: String| std::fs::write(folder.join("conf").join(name), text).expect("written");
        write("main.cf", main(&folder, certificates));
        write("master.cf", master(starttls, tls));
        write(
            "sasl/smtpd.conf",
            format!(
                "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}/users\nmech_list: PLAIN LOGIN\n",
                folder.display()
            ),
        );
        make_user(&folder.join("users"));
        chown(folder.join("users"), Some(owner), None).expect("root");
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        // It leaves the group that it was started in. In a process namespace it ends with the first process there: a shell that
        // reads from this test, and ends with it, also if it is killed.
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "sh", "-c", "postfix -c \"$0\" start-fg & cat"]).arg(folder.join("conf"));
        command.stdin(Stdio::piped()).stderr(log.try_clone().expect("a file")).stdout(log);
        let child = command.spawn().expect("postfix is installed (./test does it), and this is root");
        let mut server = Self { child, folder, starttls, tls };
        server.wait_for("the server", |server| server.log().contains("daemon started").then_some(()));
        server
    }

    /// A `sendmail` that hands its mail to this server.
    pub(crate) fn sendmail(&self) -> PathBuf {
        let path = self.folder.join("sendmail");
        let conf = self.folder.join("conf");
        std::fs::write(&path, format!("#!/bin/sh\nexec /usr/sbin/sendmail -C {} \"$@\"\n", conf.display()))
            .expect("written");
        set_mode(&path, 0o755);
        path
    }

    /// The mails in a user's box, in the order of their arrival, once there are that many.
    pub(crate) fn mails(&mut self, user: &str, count: usize) -> Vec<Vec<u8>> {
        let folder = self.folder.join("box").join(user).join("new");
        self.wait_for(&format!("{count} mails of {user}"), |_| {
            let entries = std::fs::read_dir(&folder).into_iter().flatten();
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
            let mails: Vec<Vec<u8>> = paths.iter().map(|path| bytes_of(path)).collect();
            (mails.len() >= count).then_some(mails)
        })
    }

    /// What is left in its queue.
    pub(crate) fn queue(&self) -> String {
        let ran =
            Command::new("postqueue").arg("-c").arg(self.folder.join("conf")).arg("-p").output().expect("postqueue");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&bytes_of(&self.folder.join("log"))).into_owned()
    }

    fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let watch = Stopwatch::start();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && watch.elapsed() < LIMIT, "{what} never came: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // This closes its input first.
        let _ = self.child.wait();
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let _ = file.and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut bytes));
    bytes
}

fn id_of(user: &str) -> u32 {
    let ran = Command::new("id").args(["-u", user]).output().expect("id");
    String::from_utf8_lossy(&ran.stdout).trim().parse().unwrap_or_else(|_| panic!("no user {user}: is it installed?"))
}

fn make_user(file: &Path) {
    let (user, realm) = USER.split_once('@').expect("a realm");
    let mut command = Command::new("saslpasswd2");
    command.args(["-p", "-c", "-u", realm, "-f"]).arg(file).arg(user).stdin(Stdio::piped());
    let mut child = command.spawn().expect("saslpasswd2 of sasl2-bin");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), PASSWORD.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

fn main(folder: &Path, certificates: &Certificates) -> String {
    let lines = [
        "compatibility_level = 3.6",
        "queue_directory = FOLDER/queue",
        "data_directory = FOLDER/data",
        "maillog_file = /dev/stdout",
        "myhostname = localhost",
        "mydestination =",
        "mynetworks =",
        "alias_maps =",
        "inet_interfaces = 127.0.0.1",
        "inet_protocols = ipv4",
        "message_size_limit = 200000",
        "virtual_mailbox_domains = example.org",
        "virtual_mailbox_base = FOLDER/box",
        "virtual_mailbox_maps = inline:{ jo@example.org=jo/, al@example.org=al/ }",
        "virtual_uid_maps = static:65534",
        "virtual_gid_maps = static:65534",
        "smtpd_tls_cert_file = CERTIFICATE",
        "smtpd_tls_key_file = KEY",
        "smtpd_sasl_path = smtpd",
        "cyrus_sasl_config_path = FOLDER/conf/sasl",
        "smtpd_sasl_local_domain = localhost",
        "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
        "smtpd_recipient_restrictions = permit_sasl_authenticated, reject",
    ];
    let text = lines.join("\n").replace("FOLDER", &folder.display().to_string());
    let text = text.replace("CERTIFICATE", &certificates.certificate.display().to_string());
    text.replace("KEY", &certificates.key.display().to_string()) + "\n"
}

/// The services of a small server; none that would send mail to anywhere else.
fn master(starttls: u16, tls: u16) -> String {
    let doors = format!(
        "127.0.0.1:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes\n\
         127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n"
    );
    doors
        + "postlog unix-dgram n - n - 1 postlogd\n\
           pickup unix n - n 60 1 pickup\n\
           cleanup unix n - n - 0 cleanup\n\
           qmgr unix n - n 300 1 qmgr\n\
           rewrite unix - - n - - trivial-rewrite\n\
           bounce unix - - n - 0 bounce\n\
           defer unix - - n - 0 bounce\n\
           trace unix - - n - 0 bounce\n\
           error unix - - n - - error\n\
           retry unix - - n - - error\n\
           virtual unix - n n - - virtual\n\
           anvil unix - - n - 1 anvil\n\
           showq unix n - n - - showq\n\
           tlsmgr unix - - n 1000? 1 tlsmgr\n\
           proxymap unix - - n - - proxymap\n"
}
