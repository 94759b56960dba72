//! The three round trips of a readiness probe with nothing around them: hello; start, until accounts and order id are there; time,
//! order id and a contract's details asked in one write, until all are answered. A clean close, no judgement, no file, no library.
//!
//! The yardstick of `cargo xtask bench`: what a check of a gateway costs at the least. Usage: `bare_client HOST PORT`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// The client's hello: versions 100 to 200, so that a session speaks text.
const HELLO: &[u8] = b"API\0\0\0\0\x09v100..200";
const START: &[&str] = &["71", "2", "98", ""];
const CURRENT_TIME: &[&str] = &["49", "1"];
const IDS: &[&str] = &["8", "1", "1"];
/// EUR.USD on IDEALPRO.
const CONTRACT: &[&str] =
    &["9", "8", "1", "0", "EUR", "CASH", "", "0.0", "", "", "IDEALPRO", "", "USD", "", "", "0", "", "", ""];

/// Message ids of answers.
const NEXT_VALID_ID: &[u8] = b"9";
const MANAGED_ACCOUNTS: &[u8] = b"15";
const TIME: &[u8] = b"49";
const CONTRACT_END: &[u8] = b"52";

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (host, port) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let port = port.parse().map_err(|_| io::Error::other("usage: bare_client HOST PORT"))?;
    let mut gateway = Gateway { stream: TcpStream::connect((host.as_str(), port))?, received: Vec::new(), taken: 0 };
    gateway.stream.set_nodelay(true)?;

    gateway.stream.write_all(HELLO)?;
    gateway.frame()?;

    gateway.stream.write_all(&framed(START))?;
    gateway.wait_for(&mut vec![MANAGED_ACCOUNTS, NEXT_VALID_ID])?;

    gateway.stream.write_all(&[framed(CURRENT_TIME), framed(IDS), framed(CONTRACT)].concat())?;
    gateway.wait_for(&mut vec![TIME, NEXT_VALID_ID, CONTRACT_END])?;

    // What is still coming is read, or closing would reset the connection.
    gateway.stream.shutdown(Shutdown::Write)?;
    io::copy(&mut gateway.stream, &mut io::sink())?;
    Ok(())
}

struct Gateway {
    stream: TcpStream,
    received: Vec<u8>,
    taken: usize,
}

impl Gateway {
    /// Reads until each of these messages has come.
    fn wait_for(&mut self, ids: &mut Vec<&[u8]>) -> io::Result<()> {
        while !ids.is_empty() {
            let frame = self.frame()?;
            let id = frame.split(|byte| *byte == 0).next().unwrap_or_default();
            ids.retain(|wanted| *wanted != id);
        }
        Ok(())
    }

    /// The payload of the next frame.
    fn frame(&mut self) -> io::Result<&[u8]> {
        loop {
            let rest = self.received.get(self.taken..).unwrap_or_default();
            if let Some((length, rest)) = rest.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() >= length {
                    let begins = self.taken + 4;
                    self.taken = begins + length;
                    return self.received.get(begins..self.taken).ok_or_else(|| io::Error::other("no frame"));
                }
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }
}

/// Fields, each with a NUL behind it, and their length before them.
fn framed(fields: &[&str]) -> Vec<u8> {
    let payload: Vec<u8> = fields.iter().flat_map(|field| field.bytes().chain([0])).collect();
    let length = u32::try_from(payload.len()).unwrap_or_default();
    [&length.to_be_bytes(), payload.as_slice()].concat()
}
