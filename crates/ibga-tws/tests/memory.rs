//! What a peer can make the probe hold: never more than a mebibyte, whatever it sends until the deadline. Time is cranked by hand;
//! memory is counted by the allocator of this test program.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::notice::Notice;
use ibga_tws::ServerVersion;
use ibga_tws::frame;
use ibga_tws::hello::ServerHello;
use ibga_tws::probe::{Action, Event, Probe, ProbePlan};
use ibga_tws::proto::MessageWriter;
use ibga_tws::reply::{ContractDetails, Reply};
use ibga_tws::request::{Contract, Encoding, encode_message};

const LIMIT_BYTES: u64 = 1024 * 1024;

/// What the driver reads at once.
const READ_BYTES: usize = 16 * 1024;

/// How much of each flood is fed.
const FLOOD_BYTES: usize = 2 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(15);

fn plan() -> ProbePlan {
    ProbePlan {
        client_ids: 99..=103,
        version_max: ServerVersion::TEXT_MAX,
        question: Some(Contract::eur_usd()),
        settle: Duration::from_millis(50),
        timeout: TIMEOUT,
    }
}

/// How far a session has come when the flood begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Connected,
    Hello,
    Questions,
}

/// Does what the probe wants until it waits; false once it is over.
fn pump(probe: &mut Probe, now: Duration) -> bool {
    loop {
        match probe.next_action(now) {
            Action::Connect(_) => probe.handle(&Event::Connected, now),
            Action::Send(_) => {}
            Action::Wait(until) => {
                assert!(now < until && until <= TIMEOUT);
                return true;
            }
            Action::Finish => return false,
        }
    }
}

/// Feeds the flood again and again, evenly over the whole time, and keeps nothing of what the probe saw.
fn play(version: u32, from: From, read_bytes: usize, flood: &[u8]) {
    let version = ServerVersion(version);
    let mut probe = Probe::new(plan());
    let mut now = Duration::ZERO;
    pump(&mut probe, now);
    let mut opening = Vec::new();
    if from != From::Connected {
        opening.push(ServerHello::Session { version, time: b"20261123 09:31:00 Hongkong".to_vec() }.encode());
    }
    if from == From::Questions {
        opening.push(Reply::ManagedAccounts(AccountId::parse_list("DU1234567")).encode(version, 0));
        opening.push(Reply::NextValidId(1).encode(version, 0));
    }
    for bytes in &opening {
        probe.handle(&Event::Bytes(bytes), now);
        pump(&mut probe, now);
    }
    let reads = (FLOOD_BYTES / read_bytes).min(5_000);
    let step = TIMEOUT / u32::try_from(reads).expect("not that many");
    let mut at = 0;
    for _ in 0..reads {
        let end = flood.len().min(at + read_bytes);
        probe.handle(&Event::Bytes(&flood[at..end]), now);
        at = if end == flood.len() { 0 } else { end };
        now += step;
        if !pump(&mut probe, now) {
            break;
        }
    }
    assert!(!pump(&mut probe, TIMEOUT), "over at its deadline");
    drop(probe.into_observation(TIMEOUT));
}

fn text(version: u32, id: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut payload = if version > 200 {
        id.parse::<u32>().expect("an id").to_be_bytes().to_vec()
    } else {
        [id.as_bytes(), b"\0"].concat()
    };
    payload.extend(fields.join(&[0][..]));
    payload.push(0);
    frame::encode(&payload)
}

/// Frames that are as long as they may be without being passed over, less what stands around the text.
const LONG: usize = frame::PAYLOAD_BYTES_MAX - 64;

/// Every flood, by what is hard about it.
fn floods(version: u32) -> Vec<(&'static str, From, Vec<u8>)> {
    let long_text = |fill: &[u8]| fill.repeat(LONG / fill.len());
    let notice = |fill: &[u8]| {
        let long = long_text(fill);
        let from_code: [&[u8]; 5] = [b"2", b"-1", b"399", &long, b""];
        text(version, "4", if version < 194 { &from_code } else { &from_code[1..] })
    };
    let farms = |count: usize| -> Vec<u8> {
        let broken =
            |n| Reply::Notice(Notice::new(-1, 2103, &format!("Market data farm connection is broken:farm{n}")));
        (0..count).flat_map(|n| broken(n).encode(ServerVersion(version), 0)).collect()
    };
    let spoken: Vec<u8> = (0..200_i32)
        .flat_map(|n| Reply::Notice(Notice::new(n, 10_000 + n, &"x".repeat(300))).encode(ServerVersion(version), 0))
        .collect();
    let hours = |long: &[u8]| {
        let long = String::from_utf8_lossy(long.get(..LONG / 3).unwrap_or_default()).into_owned();
        let details = ContractDetails {
            time_zone: long.clone(),
            trading_hours: long.clone(),
            liquid_hours: long,
            ..ContractDetails::default()
        };
        Reply::ContractDetails { request_id: 9_001, details }.encode(ServerVersion(version), 0)
    };
    let details = [long_text(b"\xff"), long_text(b"a\0")];
    let list = text(version, "15", &[b"1", &long_text(b"U1,")]);
    let no_text = text(version, "15", &[b"1", &long_text(b"\xff\xff\xff,")]);
    vec![
        ("a frame that never ends", From::Hello, vec![0x00, 0xFF, 0xFF, 0xFF]),
        ("the longest frames that are kept", From::Hello, frame::encode(&vec![b'7'; frame::PAYLOAD_BYTES_MAX])),
        ("frames that are passed over", From::Questions, frame::encode(&vec![b'7'; frame::PAYLOAD_BYTES_MAX + 1])),
        ("endless small unknown messages", From::Questions, text(version, "77", &[b"x"]).repeat(1_000)),
        ("a long account list", From::Hello, list.clone()),
        ("a long account list, again and again", From::Questions, list),
        ("an account list of no text", From::Hello, no_text),
        ("one long account id", From::Hello, text(version, "15", &[b"1", &long_text(b"U")])),
        ("long notices", From::Questions, notice(b"x")),
        ("long notices of no text", From::Questions, notice(b"\xff")),
        ("long notices of escapes", From::Questions, notice(b"\\u4e2d")),
        ("long notices of ids", From::Questions, notice(b"U1234567 ")),
        ("many notices", From::Questions, spoken),
        ("many farms", From::Questions, farms(5_000)),
        ("long details", From::Questions, text(version, "10", &[b"9001", &details[0]])),
        ("long hours", From::Questions, hours(&long_text(b"20261124:0930-20261124:1200;"))),
        ("long hours of a zone without an end", From::Questions, hours(&long_text(b"Hongkong"))),
        ("details of many fields", From::Questions, text(version, "10", &[b"9001", &details[1]])),
        (
            "many empty protobuf fields",
            From::Questions,
            frame::encode(&[[0, 0, 0, 204].as_slice(), &long_text(b"\x0a\0")].concat()),
        ),
        ("half a hello, for ever", From::Connected, vec![0, 0, 3, 0xFF]),
        (
            "client ids in use",
            From::Hello,
            Reply::Notice(Notice::new(-1, 326, "in use")).encode(ServerVersion(version), 0),
        ),
    ]
}

/// The same in protobuf, which holds messages within messages.
fn protobuf_floods(version: u32) -> Vec<(&'static str, From, Vec<u8>)> {
    let message =
        |id, body: &mut MessageWriter| encode_message(ServerVersion(version), id, Encoding::Protobuf, &body.finish());
    let writer = MessageWriter::default;
    // Bytes that are no text take three times their room as text.
    let texts = |numbers: &[u32], share: usize| {
        let text = vec![0xFF; LONG / share];
        numbers.iter().fold(writer(), |mut body, number| {
            body.bytes(*number, &text);
            body
        })
    };
    let many = |room: usize| b"\x0a\0".repeat(room.min(FIELDS) / 2);
    let details =
        |contract: Vec<u8>, details: Vec<u8>| message(10, writer().int(1, 9001).bytes(2, contract).bytes(3, details));
    let contract = [2, 3, 8, 10];
    let hours = [12, 13, 14];
    vec![
        ("accounts", From::Hello, message(15, writer().bytes(1, b"U1,".repeat(LONG / 3)))),
        ("accounts of no text", From::Hello, message(15, writer().bytes(1, b"\xff\xff\xff,".repeat(LONG / 4)))),
        ("accounts, again and again", From::Questions, message(15, writer().bytes(1, b"U1,".repeat(LONG / 3)))),
        ("a notice of no text", From::Questions, message(4, writer().int(3, 399).bytes(4, vec![0xFF; LONG]))),
        ("details", From::Questions, details(Vec::new(), texts(&hours, 3).finish())),
        ("a contract", From::Questions, details(texts(&contract, 4).finish(), Vec::new())),
        ("both", From::Questions, details(texts(&contract, 7).finish(), texts(&hours, 7).finish())),
        ("one text", From::Questions, details(texts(&[2], 1).finish(), Vec::new())),
        ("many fields in both", From::Questions, details(many(LONG / 2), many(LONG / 2))),
    ]
}

/// As many bytes of the smallest fields as one message may have.
const FIELDS: usize = 2 * 1_024;

#[test]
fn no_peer_makes_the_probe_hold_more_than_a_mebibyte() {
    for version in [178, 200, 203, 213] {
        let protobuf = if version > 200 { protobuf_floods(version) } else { Vec::new() };
        for (name, from, flood) in floods(version).into_iter().chain(protobuf) {
            for read_bytes in [READ_BYTES, 1_000, 7, 1024 * 1024] {
                let held = allocation_counter::measure(|| play(version, from, read_bytes, &flood));
                if read_bytes == READ_BYTES && [178, 213].contains(&version) {
                    println!("{:>8} bytes at most: {name} at {version}", held.bytes_max);
                }
                assert!(held.bytes_max <= LIMIT_BYTES, "{name} at {version}, {read_bytes} at once: {held:?}");
                assert_eq!(held.bytes_current, 0, "{name}: something stays");
            }
        }
    }
}
