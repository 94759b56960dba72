//! The kept sessions against the bound of memory, which is counted by the allocator of this test program: what a fuzzer once found
//! to be a new way through the probe makes it hold no more than the floods of `ibga-tws` do.

use std::path::Path;

use ibga_fuzz::{Script, run_unrecorded};

const LIMIT_BYTES: u64 = 1024 * 1024;

#[test]
fn no_kept_session_makes_the_probe_hold_more_than_a_mebibyte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/probe");
    let mut held = Vec::new();
    for entry in folder.read_dir().expect("the corpus") {
        let path = entry.expect("an entry").path();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::open(&path).expect("opens"), &mut bytes).expect("reads");
        let script = Script::decode(&bytes);
        let found = allocation_counter::measure(|| run_unrecorded(&script));
        assert!(found.bytes_max <= LIMIT_BYTES, "{}: {found:?}", path.display());
        assert_eq!(found.bytes_current, 0, "{}: something stays", path.display());
        held.push(found.bytes_max);
    }
    held.sort_unstable();
    println!("{} sessions, the largest holds {:?} bytes", held.len(), held.last());
    // The probe's own buffers at least: the counter counts.
    assert!(held.first().is_some_and(|bytes| *bytes > 100), "{held:?}");
}
