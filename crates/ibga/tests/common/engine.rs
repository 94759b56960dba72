//! Containers of a real engine, for the tests that have `real_docker` in their name: a tiny image made on the spot, and guards
//! that remove every container and image also when a test fails. They need the engine, its `docker` command and `gcc`.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The only program in the image: its first argument says what it does.
const PEER: &str = r#"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    const char *task = count > 1 ? arguments[1] : "stay";
    if (strcmp(task, "fail") == 0) return 1;
    if (strcmp(task, "say") == 0) {
        for (int line = 2; line < count; line++) puts(arguments[line]);
        fflush(stdout);
    }
    if (strcmp(task, "speak") == 0) {
        for (int line = 1; line <= 60; line++) {
            printf("• line %d\n", line);
            fflush(stdout);
        }
        printf("\033[1;31mcolour\033[0m\ttab \xff\r\n\n");
        fflush(stdout);
        fprintf(stderr, "!!! IB Gateway is waiting for two-factor authentication !!!\n");
        for (int letter = 0; letter < 40000; letter++) putchar('x');
        printf("\nlast");
        fflush(stdout);
        printf(" words\n");
        fflush(stdout);
    }
    for (;;) pause();
}
"#;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that no other container has, in no other run.
pub fn unique(what: &str) -> String {
    format!("ibga-test-{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs the engine's own command and returns what it prints.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker command runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Where the engine is, as the environment of another process needs it.
pub fn docker_host() -> String {
    env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

/// The image of the peer; it goes with the last container that uses it.
struct Image(String);

impl Image {
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let image = Arc::new(Self::build());
            *shared = Arc::downgrade(&image);
            image
        })
    }

    fn build() -> Self {
        let name = unique("image");
        let directory = Directory::new();
        fs::write(directory.0.join("peer.c"), PEER).expect("the source is written");
        let compiled =
            Command::new("gcc").args(["-static", "-O1", "-o", "peer", "peer.c"]).current_dir(&directory.0).status();
        assert!(compiled.expect("gcc runs").success());
        let packed = Command::new("tar").args(["-cf", "image.tar", "peer"]).current_dir(&directory.0).status();
        assert!(packed.expect("tar runs").success());
        let archive = directory.0.join("image.tar");
        docker(&["import", "--change", "ENTRYPOINT [\"/peer\"]", archive.to_str().expect("UTF-8"), &name]);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).output();
    }
}

/// A container that is removed at the end of its test, also of one that fails.
pub struct Peer {
    pub name: String,
    image: Arc<Image>,
}

impl Peer {
    /// One that is started, with a task of the image's program.
    pub fn run(what: &str, options: &[&str], task: &str) -> Self {
        Self::make(&["run", "--detach"], what, options, &[task])
    }

    /// One that prints these lines and stays.
    pub fn saying(what: &str, options: &[&str], lines: &[&str]) -> Self {
        let peer = Self::make(&["run", "--detach"], what, options, &[&["say"], lines].concat());
        wait_for_log(&peer.name, lines);
        peer
    }

    /// One that is made by this command.
    pub fn make(command: &[&str], what: &str, options: &[&str], task: &[&str]) -> Self {
        let peer = Self { name: unique(what), image: Image::shared() };
        let named = ["--name", &peer.name];
        docker(&[command, &named, options, &[&peer.image.0], task].concat());
        peer
    }

    /// Ends its program, as a crash would.
    pub fn stop(&self) {
        docker(&["kill", &self.name]);
        docker(&["wait", &self.name]);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.name]).output();
    }
}

/// A folder that is removed at the end of its test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        let path = env::temp_dir().join(unique("directory"));
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns once the engine has all of this in the container's log, in whichever order.
pub fn wait_for_log(name: &str, wanted: &[&str]) {
    let mut follower = Command::new("sh")
        .args(["-c", "exec docker logs --follow \"$0\" 2>&1", name])
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker logs runs");
    let mut missing = wanted.to_vec();
    let output = BufReader::new(follower.stdout.take().expect("a pipe"));
    for line in output.split(b'\n').map_while(Result::ok) {
        missing.retain(|words| !String::from_utf8_lossy(&line).contains(words));
        if missing.is_empty() {
            break;
        }
    }
    let _ = follower.kill();
    let _ = follower.wait();
    assert!(missing.is_empty(), "{name} never said {missing:?}");
}
