//! A probe session as bytes that a fuzzer can change one by one and still have a session: two bytes of choices, then steps of
//! one byte and its arguments. Messages are written with the codec of the product, so that a session comes up often; bytes of
//! any other kind come in by [`Op::Raw`].

use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::notice::Notice;
use ibga_tws::ServerVersion;
use ibga_tws::frame;
use ibga_tws::hello::ServerHello;
use ibga_tws::reply::{ContractDetails, Reply};
use ibga_tws::request::Contract;

const VERSIONS: [u32; 16] = [178, 100, 110, 151, 157, 166, 176, 193, 194, 200, 201, 203, 205, 207, 212, 213];
const ACCOUNTS: [&str; 4] = ["DU1234567", "", "U7654321,DU1234567,", "F1,U2"];
const CODES: [i32; 20] =
    [2104, 2106, 2158, 2103, 1100, 1101, 1102, 2110, 200, 203, 321, 326, 10141, 10197, 1300, 162, 0, 100, 10182, 2105];
const TEXTS: [&str; 4] =
    ["text:hfarm", "The API interface is currently in Read-Only mode.", "\\ud83d", "different IP address"];
const REQUESTS: [i32; 8] = [9_001, 9_002, 9_003, -1, 0, 9_000, 1, i32::MAX];

/// The most steps of one script.
const STEPS_MAX: usize = 256;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// These bytes, at most 255.
    Raw(Vec<u8>),
    /// These bytes in a frame, at most 255.
    Framed(Vec<u8>),
    /// A frame of so many times 16 bytes.
    Long(u16),
    /// So many milliseconds pass.
    Pass(u16),
    /// The peer closes.
    Close,
    /// The peer resets.
    Reset,
    /// The gateway's hello.
    Hello,
    /// One of the account lists.
    Accounts(u8),
    /// An order id.
    OrderId(u8),
    /// The time, so many seconds off.
    Time(i8),
    /// A notice: code, request, text.
    Notice(u8, u8, u8),
    /// Details for a request.
    Details(u8),
    /// The end of details for a request.
    DetailsEnd(u8),
    /// From here on bytes arrive so many at a time; 0 is all at once.
    Cut(u8),
    /// From here on bytes gather.
    Hold,
    /// What has gathered arrives.
    Release,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The version in the hello.
    pub version: ServerVersion,
    /// Whether the broker is asked.
    pub asks_broker: bool,
    /// How many client ids may be tried.
    pub client_ids: i32,
    /// What happens.
    pub ops: Vec<Op>,
}

impl Script {
    /// Reads any bytes as a session.
    pub fn decode(input: &[u8]) -> Self {
        let mut bytes = Bytes(input);
        let version = pick(&VERSIONS, bytes.one());
        let choices = bytes.one();
        let mut ops = Vec::new();
        while !bytes.0.is_empty() && ops.len() < STEPS_MAX {
            ops.push(bytes.op());
        }
        Self {
            version: ServerVersion(version),
            asks_broker: choices & 1 == 0,
            client_ids: 1 + i32::from(choices >> 1 & 3),
            ops,
        }
    }

    /// The bytes of this session, for a corpus.
    pub fn encode(&self) -> Vec<u8> {
        let version = VERSIONS.iter().position(|version| *version == self.version.0).unwrap_or_default();
        let choices = u8::from(!self.asks_broker) | u8::try_from(self.client_ids - 1).unwrap_or_default() << 1;
        let mut bytes = vec![u8::try_from(version).unwrap_or_default(), choices];
        for op in &self.ops {
            encode_op(op, &mut bytes);
        }
        bytes
    }
}

fn pick<T: Copy + Default>(table: &[T], choice: u8) -> T {
    table.get(usize::from(choice) % table.len()).copied().unwrap_or_default()
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn one(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.one(), self.one()])
    }

    fn some(&mut self) -> Vec<u8> {
        let count = usize::from(self.one()).min(self.0.len());
        let (some, rest) = self.0.split_at(count);
        self.0 = rest;
        some.to_vec()
    }

    fn op(&mut self) -> Op {
        match self.one() % 16 {
            0 => Op::Raw(self.some()),
            1 => Op::Framed(self.some()),
            2 => Op::Long(self.two()),
            3 => Op::Pass(self.two()),
            4 => Op::Close,
            5 => Op::Reset,
            6 => Op::Hello,
            7 => Op::Accounts(self.one()),
            8 => Op::OrderId(self.one()),
            9 => Op::Time(self.one().cast_signed()),
            10 => Op::Notice(self.one(), self.one(), self.one()),
            11 => Op::Details(self.one()),
            12 => Op::DetailsEnd(self.one()),
            13 => Op::Cut(self.one()),
            14 => Op::Hold,
            _ => Op::Release,
        }
    }
}

fn encode_op(op: &Op, to: &mut Vec<u8>) {
    let mut some = |kind: u8, bytes: &[u8]| {
        let bytes = bytes.get(..255).unwrap_or(bytes);
        to.extend([kind, u8::try_from(bytes.len()).unwrap_or(u8::MAX)]);
        to.extend_from_slice(bytes);
    };
    match op {
        Op::Raw(bytes) => some(0, bytes),
        Op::Framed(bytes) => some(1, bytes),
        Op::Long(size) => to.extend([[2].as_slice(), &size.to_be_bytes()].concat()),
        Op::Pass(ms) => to.extend([[3].as_slice(), &ms.to_be_bytes()].concat()),
        Op::Close => to.push(4),
        Op::Reset => to.push(5),
        Op::Hello => to.push(6),
        Op::Accounts(list) => to.extend([7, *list]),
        Op::OrderId(id) => to.extend([8, *id]),
        Op::Time(off) => to.extend([9, off.cast_unsigned()]),
        Op::Notice(code, request, text) => to.extend([10, *code, *request, *text]),
        Op::Details(request) => to.extend([11, *request]),
        Op::DetailsEnd(request) => to.extend([12, *request]),
        Op::Cut(size) => to.extend([13, *size]),
        Op::Hold => to.push(14),
        Op::Release => to.push(15),
    }
}

impl Op {
    /// The bytes that a gateway sends here, if it sends any. `wall` is the time in seconds since 1970.
    pub(crate) fn bytes(&self, version: ServerVersion, wall: i64) -> Vec<u8> {
        let reply = match self {
            Self::Raw(bytes) => return bytes.clone(),
            Self::Framed(bytes) => return frame::encode(bytes),
            Self::Long(size) => return frame::encode(&vec![b'7'; usize::from(*size) * 16]),
            Self::Hello => {
                return ServerHello::Session { version, time: b"20261123 09:31:00 Hongkong".to_vec() }.encode();
            }
            Self::Accounts(list) => Reply::ManagedAccounts(AccountId::parse_list(pick(&ACCOUNTS, *list))),
            Self::OrderId(id) => Reply::NextValidId(i64::from(*id)),
            Self::Time(off) => Reply::CurrentTime(wall + i64::from(*off)),
            Self::Notice(code, request, text) => {
                Reply::Notice(Notice::new(pick(&REQUESTS, *request), pick(&CODES, *code), pick(&TEXTS, *text)))
            }
            Self::Details(request) => {
                let details = ContractDetails { contract: Contract::eur_usd(), ..ContractDetails::default() };
                Reply::ContractDetails { request_id: pick(&REQUESTS, *request), details }
            }
            Self::DetailsEnd(request) => Reply::ContractDetailsEnd { request_id: pick(&REQUESTS, *request) },
            Self::Pass(_) | Self::Close | Self::Reset | Self::Cut(_) | Self::Hold | Self::Release => return Vec::new(),
        };
        reply.encode(version, wall.saturating_mul(1_000))
    }

    /// How long passes here.
    pub(crate) fn passes(&self) -> Duration {
        if let Self::Pass(ms) = self { Duration::from_millis(u64::from(*ms)) } else { Duration::ZERO }
    }
}
