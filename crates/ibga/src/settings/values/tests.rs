use super::*;

/// Each text beside what comes out: the value's debug text or the message.
pub(super) fn assert_table<T: fmt::Debug>(parse: Parse<T>, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let outcome = match read(text, parse) {
            Ok(value) => format!("{value:?}"),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(outcome, *expected, "{text:?}");
    }
}

#[test]
fn what_holds_for_every_value() {
    assert_table(
        port,
        &[
            (" 4001 ", "4001"),
            ("", "empty; write a value or leave it out"),
            ("  ", "empty; write a value or leave it out"),
            ("40\u{0}01", "holds a control character; remove it"),
            ("40\n01", "holds a control character; remove it"),
        ],
    );
}

#[test]
fn hosts() {
    let more = |text: &str| format!("`{text}` is more than a host; write the host alone and the port as `port`");
    let no = |text: &str| format!("`{text}` is not a host; write a host name or an IP address");
    let long = ["a".repeat(63).as_str(); 4].join(".");
    let shown_long = format!("{}…", &long[..64]);
    assert_table(
        host,
        &[
            ("127.0.0.1", "Host(\"127.0.0.1\")"),
            ("::1", "Host(\"::1\")"),
            ("[::1]", "Host(\"::1\")"),
            ("2001:DB8:0::1", "Host(\"2001:db8::1\")"),
            ("gateway", "Host(\"gateway\")"),
            ("ib-gateway.example.org.", "Host(\"ib-gateway.example.org.\")"),
            ("ib_gateway", "Host(\"ib_gateway\")"),
            ("4u", "Host(\"4u\")"),
            ("gateway:4000", &more("gateway:4000")),
            ("127.0.0.1:4000", &more("127.0.0.1:4000")),
            ("http://gateway", &more("http://gateway")),
            ("me@gateway", &more("me@gateway")),
            ("[127.0.0.1]", &no("[127.0.0.1]")),
            ("999.0.0.1", &no("999.0.0.1")),
            ("127.1", &no("127.1")),
            ("4000", &no("4000")),
            ("my gateway", &no("my gateway")),
            ("-gateway", &no("-gateway")),
            ("gate..way", &no("gate..way")),
            (".", &no(".")),
            ("größe", &no("größe")),
            (&long, &no(&shown_long)),
        ],
    );
}

#[test]
fn ports() {
    let no = |text: &str| format!("`{text}` is not a port; write a whole number from 1 to 65535");
    assert_table(
        port,
        &[
            ("1", "1"),
            ("4000", "4000"),
            ("65535", "65535"),
            ("0", &no("0")),
            ("65536", &no("65536")),
            ("99999", &no("99999")),
            ("-1", &no("-1")),
            ("+4000", &no("+4000")),
            ("4000.0", &no("4000.0")),
            ("0x10", &no("0x10")),
            ("tcp://10.0.0.1:4000", &no("tcp://10.0.0.1:4000")),
            ("99999999999999999999999", &no("99999999999999999999999")),
        ],
    );
}

#[test]
fn client_ids_leave_room_for_their_range() {
    let no = |text: &str| format!("`{text}` is not a client id; write a whole number from 1 to 2147483643");
    let zero = "client id 0 binds the orders that were placed by hand; choose 1 or more, such as 99";
    assert_table(
        client_id,
        &[
            ("1", "ClientId(1)"),
            ("99", "ClientId(99)"),
            ("2147483643", "ClientId(2147483643)"),
            ("0", zero),
            ("00", zero),
            ("-1", &no("-1")),
            ("2147483644", &no("2147483644")),
            ("ninety", &no("ninety")),
        ],
    );
    assert_eq!(client_id("99").map(ClientId::range), Ok(99..=103));
    assert_eq!(client_id("2147483643").map(ClientId::range), Ok(2_147_483_643..=i32::MAX));
}

#[test]
fn containers() {
    let no = |text: &str| {
        format!(
            "`{text}` is not a container; write auto, none, or a name of letters, digits, _, . and - \
             that begins with a letter or digit"
        )
    };
    assert_table(
        container,
        &[
            ("auto", "Auto"),
            ("none", "None"),
            ("ibga", "Named(ContainerName(\"ibga\"))"),
            ("4f_a.b-c", "Named(ContainerName(\"4f_a.b-c\"))"),
            ("a", "Named(ContainerName(\"a\"))"),
            ("-rm", &no("-rm")),
            ("/ibga", &no("/ibga")),
            ("a b", &no("a b")),
            ("ibgä", &no("ibgä")),
        ],
    );
}

#[test]
fn durations() {
    let no = |text: &str| {
        format!("`{text}` is not a duration; write numbers with units h, m, s or ms, such as 15s or 1h30m")
    };
    let unit = |text: &str| format!("`{text}` has no unit; write a number with its unit, such as {text}s or {text}m");
    let range = |text: &str| format!("`{text}` is out of range; write 100ms to 10m");
    assert_table(
        timeout,
        &[
            ("15s", "15s"),
            ("100ms", "100ms"),
            ("10m", "600s"),
            ("1m30s", "90s"),
            ("1m 30s", "90s"),
            ("1.5s", "1.5s"),
            ("15", &unit("15")),
            ("0", &unit("0")),
            ("1.5", &unit("1.5")),
            ("99ms", &range("99ms")),
            ("0s", &range("0s")),
            ("10m1ms", &range("10m1ms")),
            ("1h", &range("1h")),
            ("15x", &no("15x")),
            ("1d", &no("1d")),
            ("-5s", &no("-5s")),
            ("5s ago", &no("5s ago")),
            ("PT15S", &no("PT15S")),
            ("0:00:15", &no("0:00:15")),
            ("1s1m", &no("1s1m")),
            ("1h30", &no("1h30")),
            ("soon", &no("soon")),
            ("99999999999999999999s", &no("99999999999999999999s")),
            ("nan", &no("nan")),
        ],
    );
    assert_table(settle, &[("0s", "0ns"), ("10s", "10s"), ("11s", "`11s` is out of range; write 0s to 10s")]);
    assert_table(
        max_status_age,
        &[
            ("1s", "1s"),
            ("1h30m", "5400s"),
            ("24h", "86400s"),
            ("999ms", "`999ms` is out of range; write 1s to 24h"),
            ("25h", "`25h` is out of range; write 1s to 24h"),
        ],
    );
    assert_table(max_clock_skew, &[("1h", "3600s"), ("2h", "`2h` is out of range; write 1s to 1h")]);
}

#[test]
fn paths() {
    let no = |text: &str| format!("`{text}` is taken as it stands, `~` and `$` are not expanded; write the whole path");
    let end = |text: &str| format!("`{text}` is not a path; write the path without a / at its end, at most 4095 bytes");
    assert_table(
        path,
        &[
            ("/tmp/a b.json", "\"/tmp/a b.json\""),
            ("status.json", "\"status.json\""),
            ("~/status.json", &no("~/status.json")),
            ("$HOME/status.json", &no("$HOME/status.json")),
            ("/tmp/${NAME}.json", &no("/tmp/${NAME}.json")),
            ("/tmp/", &end("/tmp/")),
            (&"x".repeat(4096), &end(&format!("{}…", "x".repeat(64)))),
        ],
    );
    assert_table(
        absolute_path,
        &[
            ("/var/lib/ibga", "\"/var/lib/ibga\""),
            ("/var/lib/ibga/", "\"/var/lib/ibga\""),
            ("state", "`state` is relative to wherever a process starts; write a path that begins with /"),
            ("~/state", &no("~/state")),
        ],
    );
}

#[test]
fn file_modes() {
    let no = |text: &str| format!("`{text}` is not a file mode; write it in octal, such as 0600");
    let writable = |text: &str| {
        format!("`{text}` lets group or others write, and no reader would trust such a file; write 0600, 0640 or 0644")
    };
    let shut = |text: &str| format!("`{text}` keeps the owner from reading or writing; write 0600, 0640 or 0644");
    assert_table(
        file_mode,
        &[
            ("0600", "384"),
            ("600", "384"),
            ("0o600", "384"),
            ("0644", "420"),
            ("0660", &writable("0660")),
            ("0602", &writable("0602")),
            ("0400", &shut("0400")),
            ("0000", &shut("0000")),
            ("4600", &no("4600")),
            ("0800", &no("0800")),
            ("6", &no("6")),
            ("rw-------", &no("rw-------")),
            ("+600", &no("+600")),
        ],
    );
}

#[test]
fn accounts_show_no_more_than_two_characters() {
    let no = |start: &str| {
        format!("`{start}…` is not an account id; write 1 to 4 letters and 3 to 12 digits, as in DU1234567")
    };
    let revealed = |text: &str| account(text).map(|id| id.reveal().to_owned());
    for (text, id) in [("DU1234567", "DU1234567"), ("du1234567", "DU1234567"), ("U123", "U123")] {
        assert_eq!(revealed(text).as_deref(), Ok(id));
    }
    assert_eq!(revealed("DFAB123456789012").as_deref(), Ok("DFAB123456789012"));
    assert_table(
        account,
        &[
            ("1234567", &no("12")),
            ("DU12", &no("DU")),
            ("DU1234567890123", &no("DU")),
            ("ABCDE1234", &no("AB")),
            ("DU12 3456", &no("DU")),
            ("DU123A", &no("DU")),
            ("X", &no("X")),
        ],
    );
}

#[test]
fn choices() {
    assert_table(
        expected_mode,
        &[
            ("paper", "Paper"),
            ("live", "Live"),
            ("papr", "`papr` is not one of paper, live; did you mean `paper`?"),
            ("LIVE", "`LIVE` is not one of paper, live; did you mean `live`?"),
            ("demo", "`demo` is not one of paper, live"),
        ],
    );
    assert_table(
        broker_probe,
        &[
            ("contract", "Contract"),
            ("off", "Off"),
            ("none", "`none` is not one of contract, off"),
            ("contact", "`contact` is not one of contract, off; did you mean `contract`?"),
        ],
    );
    assert_table(
        switch,
        &[
            ("true", "true"),
            ("True", "true"),
            ("yes", "true"),
            ("on", "true"),
            ("1", "true"),
            ("false", "false"),
            ("no", "false"),
            ("OFF", "false"),
            ("0", "false"),
            ("maybe", "`maybe` is not one of true, false"),
        ],
    );
}

#[test]
fn farms_exchanges_and_versions() {
    let farm_no = |text: &str| format!("`{text}` is not a data farm; write its name, such as hfarm or usfarm");
    assert_table(farm, &[("usfarm.nj", "\"usfarm.nj\""), ("us farm", &farm_no("us farm"))]);
    let exchange_no = |text: &str| {
        format!(
            "unknown exchange `{text}`; \
             use one of XHKG, XNYS, XNAS, XTKS, XSHG, XSHE, XSES, XASX, XLON, XETR, or stock_connect"
        )
    };
    assert_table(
        exchange,
        &[
            ("XHKG", "One(Exchange { mic: \"XHKG\" })"),
            ("xnys", "One(Exchange { mic: \"XNYS\" })"),
            ("Stock_Connect", "StockConnect"),
            ("SEHK2", "unknown exchange `SEHK2`; did you mean SEHK?"),
            ("XH4G", "unknown exchange `XH4G`; did you mean XHKG?"),
            ("stock connect", "unknown exchange `stock connect`; did you mean stock_connect?"),
            ("HK", &exchange_no("HK")),
        ],
    );
    let version_no = |text: &str| format!("`{text}` is not an API version; write a whole number from 100 to 300");
    assert_table(
        api_version,
        &[("100", "100"), ("300", "300"), ("99", &version_no("99")), ("301", &version_no("301"))],
    );
}

#[test]
fn owners() {
    let no = |text: &str| format!("`{text}` is not a user; write a user name or a numeric user id");
    assert_table(
        owner,
        &[
            ("0", "Id(0)"),
            ("1001", "Id(1001)"),
            ("4294967294", "Id(4294967294)"),
            ("ops", "Name(\"ops\")"),
            ("_www", "Name(\"_www\")"),
            ("4294967295", &no("4294967295")),
            ("-1", &no("-1")),
            ("a:b", &no("a:b")),
        ],
    );
}

#[test]
fn gateway_names() {
    let no = |text: &str| format!("`{text}` is not a gateway name; write 1 to 32 letters, digits, - and _");
    let long = "x".repeat(33);
    assert_table(
        gateway_name,
        &[
            ("default", "GatewayName(\"default\")"),
            ("Paper_2-a", "GatewayName(\"Paper_2-a\")"),
            (&long, &no(&long)),
            ("a/b", &no("a/b")),
            ("a.b", &no("a.b")),
            ("päper", &no("päper")),
        ],
    );
}

#[test]
fn each_gateway_has_its_own_status_file() {
    assert_eq!(GatewayName::unnamed().default_status_file(), Path::new("/tmp/ibga-status.json"));
    let paper = gateway_name("paper").map(|name| name.default_status_file());
    assert_eq!(paper, Ok(PathBuf::from("/tmp/ibga-status-paper.json")));
}
