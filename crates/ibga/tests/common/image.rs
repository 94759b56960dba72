//! An image with the real binary in it, a shell, and nothing else: what can be made without a registry.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::set_mode;
use crate::engine::{Directory, docker, unique};

/// An image that is removed at the end of its test.
pub struct Image(pub String);

impl Image {
    /// `/usr/local/bin/ibga` and `/bin/sh` with their libraries, and folders as Debian has them.
    pub fn with_the_binary() -> Self {
        let root = Directory::new();
        for (folder, mode) in [("usr/local/bin", 0o755), ("bin", 0o755), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
            fs::create_dir_all(root.0.join(folder)).expect("a folder");
            set_mode(&root.0.join(folder), mode);
        }
        set_mode(&root.0, 0o755);
        let binary = root.0.join("usr/local/bin/ibga");
        run(Command::new("strip").arg("-o").arg(&binary).arg(env!("CARGO_BIN_EXE_ibga")));
        let state = root.0.join("var/lib/ibga");
        fs::create_dir_all(&state).expect("a folder");
        set_mode(&state, 0o777);
        fs::copy("/bin/sh", root.0.join("bin/sh")).expect("a shell");
        for library in libraries(env!("CARGO_BIN_EXE_ibga")).into_iter().chain(libraries("/bin/sh")) {
            let there = root.0.join(library.trim_start_matches('/'));
            fs::create_dir_all(there.parent().expect("a folder")).expect("a folder");
            fs::copy(&library, there).expect("a library");
        }
        let archive = Directory::new();
        let archive = archive.0.join("image.tar");
        run(Command::new("tar").arg("-C").arg(&root.0).arg("-cf").arg(&archive).arg("."));
        Self::import(&archive)
    }

    fn import(archive: &Path) -> Self {
        let name = unique("ibga");
        let archive = archive.to_str().expect("UTF-8");
        docker(&["import", "--change", "ENTRYPOINT [\"ibga\"]", archive, &name]);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).output();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The files that a program is linked with.
fn libraries(program: &str) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().expect("ldd runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).collect()
}
