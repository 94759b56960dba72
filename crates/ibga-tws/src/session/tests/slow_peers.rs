//! Peers that dribble and peers that flood: never ready, one connection at a time, and no more memory than a session takes.

use super::*;

/// More than a session has to remember, in its own words.
const REMEMBERED_MAX: usize = 512 * 1024;

fn remembered(bench: &Bench) -> usize {
    format!("{:?}", bench.session).len()
}

fn connects(log: &[String]) -> usize {
    log.iter().filter(|line| line.ends_with("connect")).count()
}

/// Lets a byte of these come every few seconds, on each connection from the beginning, until the time has come.
fn dribble(bench: &mut Bench, bytes: &[u8], until: Duration) {
    let (mut connection, mut sent) = (connects(&bench.log), 0);
    while bench.now < until {
        let next = (bench.now + secs(4)).min(until);
        bench.run_to(next);
        if connection != connects(&bench.log) {
            (connection, sent) = (connects(&bench.log), 0);
        }
        if let Some(byte) = bytes.get(sent).filter(|_| bench.open) {
            bench.event(&Event::Bytes(&[*byte]));
            sent += 1;
        }
    }
}

/// A frame of a kilobyte that nobody knows.
fn noise() -> Vec<u8> {
    frame::encode(&[b"9999\0", &[b'x'; 1_024][..]].concat())
}

fn is_ever_ready(log: &[String]) -> bool {
    log.iter().any(|line| line.ends_with(" ready"))
}

#[test]
fn a_hello_that_dribbles_for_an_hour() {
    let mut bench = Bench::new(Gateway { silent: true, ..Gateway::default() });
    // As long as a hello may be, so that it is not whole by then.
    let hello = frame::encode(&[b'1'; 1_000]);
    dribble(&mut bench, &hello, secs(3_600));
    let log = bench.told();
    assert!(!is_ever_ready(&log), "{log:?}");
    assert_eq!(connects(&log), 1, "{log:?}");
    assert!(log.iter().filter(|line| line.contains("Confirmed")).count() > 100, "what is known stays fresh");
    assert!(remembered(&bench) < REMEMBERED_MAX);
}

#[test]
fn a_start_that_dribbles_for_an_hour() {
    let mut bench = Bench::new(Gateway { mute_after_hello: true, ..Gateway::default() });
    dribble(&mut bench, &noise(), secs(3_600));
    let log = bench.told();
    assert!(!is_ever_ready(&log), "{log:?}");
    // Each is given two minutes, and the pauses grow.
    assert!((15..=30).contains(&connects(&log)), "{}", connects(&log));
    assert!(remembered(&bench) < REMEMBERED_MAX);
}

#[test]
fn noise_in_a_session_that_is_up_swallows_the_answers_and_ends_it() {
    let mut bench = Bench::up();
    bench.gateway.mute_after_hello = true;
    let until = bench.now + secs(3_600);
    dribble(&mut bench, &noise(), until);
    let log = bench.told();
    let first = log.iter().position(|line| line.contains("Changed")).expect("it is noticed");
    let at: f64 = log[first].split(' ').next().and_then(|at| at.parse().ok()).expect("a time");
    assert!(at <= 26.0 && !log[first].ends_with(" ready"), "{:?}", log[first]);
    assert!(!is_ever_ready(&log[first..]), "{:?}", &log[first..]);
    assert!(connects(&log) <= 32, "{}", connects(&log));
    assert!(remembered(&bench) < REMEMBERED_MAX);
}

#[test]
fn noise_between_the_answers_is_passed_over() {
    let mut bench = Bench::up();
    for _ in 0..900 {
        let next = bench.now + secs(4);
        bench.run_to(next);
        bench.event(&Event::Bytes(&noise()));
    }
    let log = bench.told();
    assert_eq!((bench.cause(), connects(&log)), (Cause::Ready, 0));
    assert!(remembered(&bench) < REMEMBERED_MAX);
}

#[test]
fn a_flood_takes_no_memory_and_hides_no_answer() {
    let mut bench = Bench::up();
    let unknown = frame::encode(&[b"9999\0", vec![b'x'; 60 * 1_024].as_slice()].concat());
    let farms: Vec<u8> = (0..200)
        .flat_map(|farm| {
            frame::encode(format!("4\x002\0-1\x002103\0Market data farm connection is broken:f{farm}\0\0").as_bytes())
        })
        .collect();
    for round in 0..500_u32 {
        let next = bench.now + ms(100);
        bench.run_to(next);
        bench.event(&Event::Bytes(if round % 10 == 0 { &farms } else { &unknown }));
    }
    let next = bench.now + secs(30);
    bench.run_to(next);
    assert_eq!(bench.cause(), Cause::Ready);
    assert!(remembered(&bench) < REMEMBERED_MAX, "{}", remembered(&bench));
    let log = bench.told();
    let asked = log.iter().filter(|line| line.ends_with("broker?")).count();
    assert!((1..=25).contains(&asked), "the broker is not asked for each of them: {asked}");
    assert_eq!(connects(&log), 0);
}

#[test]
fn a_flood_instead_of_a_start_is_never_ready() {
    let mut bench = Bench::new(Gateway { mute_after_hello: true, ..Gateway::default() });
    let huge = [&frame::FRAME_BYTES_MAX.to_be_bytes()[..], vec![0; 64 * 1_024].as_slice()].concat();
    while bench.now < secs(600) {
        if bench.open {
            bench.event(&Event::Bytes(&huge));
        }
        let next = bench.now + secs(1);
        bench.run_to(next);
    }
    let log = bench.told();
    assert!(!is_ever_ready(&log));
    assert!(connects(&log) <= 30, "{}", connects(&log));
    assert!(remembered(&bench) < REMEMBERED_MAX);
}
