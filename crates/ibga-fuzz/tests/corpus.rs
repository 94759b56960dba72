//! The kept bytes against the properties, without a fuzzer; and proof that they reach what the properties are about.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ibga_core::cause::Cause;
use ibga_fuzz::{Op, PROPERTIES, Script, is_go, is_told, run};
use ibga_tws::ServerVersion;

/// What one property may keep; a corpus is for reading by machines, but it lies in the repository.
const CORPUS_BYTES_MAX: usize = 100 * 1024;

fn corpus(property: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(property);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let mut bytes = Vec::new();
        let mut file = std::fs::File::open(&path).expect("opens");
        std::io::Read::read_to_end(&mut file, &mut bytes).expect("reads");
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_property_holds_for_what_was_kept() {
    for (name, property) in PROPERTIES {
        let kept = corpus(name);
        assert!(!kept.is_empty(), "{name} has no corpus");
        let total: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total <= CORPUS_BYTES_MAX, "{name} keeps {total} bytes: minimise it");
        for (path, bytes) in &kept {
            let outcome = std::panic::catch_unwind(|| property(bytes));
            assert!(outcome.is_ok(), "{name} does not hold for {}", path.display());
        }
    }
}

#[test]
fn the_kept_sessions_reach_ready_and_much_else() {
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut dialects: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, bytes) in corpus("probe") {
        let script = Script::decode(&bytes);
        let run = run(&script);
        *causes.entry(run.cause.code()).or_default() += 1;
        if run.cause == Cause::Ready {
            let dialect = match script.version.0 {
                ..=200 => "text",
                201..=212 => "mixed",
                _ => "protobuf",
            };
            *dialects.entry(dialect).or_default() += 1;
        }
    }
    println!("verdicts of the kept sessions: {causes:?}\nready, by dialect: {dialects:?}");
    assert!(causes.len() >= 15, "{causes:?}");
    assert_eq!(dialects.keys().copied().collect::<Vec<_>>(), ["mixed", "protobuf", "text"]);
}

#[test]
fn the_kept_status_files_reach_a_go() {
    let kept = corpus("status");
    let go = kept.iter().filter(|(_, bytes)| std::str::from_utf8(bytes).is_ok_and(is_go)).count();
    println!("a go for {go} of {} kept status files", kept.len());
    assert!((3..kept.len()).contains(&go));
}

#[test]
fn the_kept_halts_tell_of_some() {
    let kept = corpus("halt");
    let told = kept.iter().filter(|(_, bytes)| std::str::from_utf8(bytes).is_ok_and(is_told)).count();
    println!("{told} of {} kept halts can be told", kept.len());
    assert!((2..kept.len()).contains(&told));
}

/// What a gateway sends, and the verdict on it: where the sessions of the corpus began.
fn seeds() -> Vec<(&'static str, Vec<Op>, Cause)> {
    use Op::{
        Accounts, Close, Cut, Details, DetailsEnd, Framed, Hello, Hold, Long, Notice, OrderId, Pass, Raw, Release, Time,
    };
    let started = || vec![Hello, Accounts(0), OrderId(1)];
    let answered = || [started(), vec![Time(0), OrderId(2), Details(0), DetailsEnd(0)]].concat();
    let but = |ops: Vec<Op>| [started(), ops].concat();
    vec![
        ("ready", answered(), Cause::Ready),
        ("bytewise", [vec![Cut(1)], answered()].concat(), Cause::Ready),
        ("farms", [answered(), vec![Notice(0, 3, 0), Notice(1, 3, 0), Pass(40)]].concat(), Cause::Ready),
        ("farm down", [answered(), vec![Notice(3, 3, 0)]].concat(), Cause::Ready),
        ("unknown contract", but(vec![Time(0), OrderId(2), Notice(8, 0, 0)]), Cause::Ready),
        ("asked again", but(vec![Time(0), OrderId(2), Notice(0, 3, 0), Pass(600), DetailsEnd(1)]), Cause::Ready),
        ("link back", but(vec![Notice(4, 3, 0), Time(0), OrderId(2), Notice(6, 3, 0), DetailsEnd(0)]), Cause::Ready),
        ("long frames", [started(), vec![Long(4_097), Time(0), OrderId(2), DetailsEnd(0)]].concat(), Cause::Ready),
        ("next client id", [vec![Hello, Notice(11, 3, 0)], answered()].concat(), Cause::Ready),
        ("all at once", [vec![Hold], answered(), vec![Release]].concat(), Cause::ApiUnresponsive),
        (
            "the broker's answer before its question",
            vec![Hello, Hold, Accounts(0), OrderId(1), DetailsEnd(0), Release, Time(0), OrderId(2)],
            Cause::BrokerSilent,
        ),
        ("of another question", but(vec![Time(0), OrderId(2), DetailsEnd(1), DetailsEnd(6)]), Cause::BrokerSilent),
        ("no time", but(vec![OrderId(2), DetailsEnd(0)]), Cause::ApiUnresponsive),
        ("wrong time", but(vec![Time(100), OrderId(2), DetailsEnd(0)]), Cause::ClockSkewed),
        ("link down", but(vec![Time(0), OrderId(2), Notice(4, 0, 0)]), Cause::BrokerLinkDown),
        ("read-only", but(vec![Time(0), Notice(10, 3, 1), DetailsEnd(0)]), Cause::ReadOnlyApi),
        ("other session", [answered(), vec![Notice(13, 3, 0)]].concat(), Cause::CompetingSession),
        ("no accounts", vec![Hello, Accounts(1), OrderId(1)], Cause::AccountsEmpty),
        ("accounts lost", [answered(), vec![Accounts(1)]].concat(), Cause::AccountsEmpty),
        ("no order id", vec![Hello, Accounts(0)], Cause::OrderIdMissing),
        ("no account list", vec![Hello, OrderId(1)], Cause::AccountsMissing),
        ("disclaimer", vec![Hello, Notice(12, 3, 0)], Cause::PaperDisclaimer),
        ("moved", vec![Hello, Notice(14, 3, 0)], Cause::PortMoved),
        ("silence", vec![Pass(20_000)], Cause::ApiSilent),
        ("silent start", vec![Hello], Cause::StartupSilent),
        ("closed", vec![Close], Cause::ApiClosed),
        ("closed late", [answered(), vec![Close]].concat(), Cause::ClientRejected),
        ("a web server", vec![Raw(b"HTTP/1.1 400 Bad Request\r\n".to_vec())], Cause::NotAGateway),
        ("broken", vec![Hello, Framed(b"9\x001\0soon\0".to_vec())], Cause::ProtocolError),
    ]
}

/// With `UPDATE_SEEDS=FOLDER` the sessions are written there, for a fuzzer to begin with.
#[test]
fn sessions_to_begin_with() {
    let folder = std::env::var_os("UPDATE_SEEDS").map(PathBuf::from);
    for (name, ops, cause) in seeds() {
        for version in [178, 194, 203, 213] {
            let ops = ops.clone();
            let script = Script { version: ServerVersion(version), asks_broker: true, client_ids: 2, ops };
            let bytes = script.encode();
            assert_eq!(Script::decode(&bytes), script, "{name}");
            let is_broken_text = version != 178 && cause == Cause::ProtocolError;
            if !is_broken_text {
                assert_eq!(run(&script).cause, cause, "{name} at {version}: {:?}", run(&script));
            }
            if let Some(folder) = &folder {
                std::fs::write(folder.join(format!("{}-{version}", name.replace(' ', "-"))), bytes).expect("written");
            }
        }
    }
}
