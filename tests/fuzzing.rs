//! Files and words that nobody meant. Whatever comes in, the readers say something, none panics, and none takes long.
//!
//! Each case is made from a seed, which a failure names. A longer campaign:
//! `TEST_FUZZ=200000 cargo nextest run --profile campaign --test fuzzing`

use std::{
    io::{Cursor, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use jeongsan::{
    domain::{
        bank::{AccountNumber, BankCode},
        calendar::KstDay,
        contract::Rate,
        ids::{ImpUid, MerchantUid},
        money::Won,
        partner::BusinessNumber,
        wanted::Wanted,
    },
    sheet::{
        self, Cell, Encoding, Sheet,
        bank::{read_result, seeded},
    },
    store::payment_lists,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Unoptimised and beside other tests; what hangs takes for ever.
const LONGEST: Duration = Duration::from_secs(5);

/// How many cases a reader of texts gets. A workbook takes longer, and gets a tenth.
fn cases() -> u64 {
    match std::env::var("TEST_FUZZ") {
        Ok(text) => text.parse().expect("TEST_FUZZ is a number of cases"),
        Err(_) => 3_000,
    }
}

/// What breaks readers elsewhere.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b",",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xb0\xa1",
    b"\xed\xa0\x80",
    b"=1+1",
    b"-",
    b"0",
    b"1e999",
    b"NaN",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"99999999999999999999999999",
    b"2026-02-30",
    b"-9999-01-01",
    b"9999-12-31",
    b"</c>",
    b"<row>",
    b" r=\"XFD1048576\"",
    b" r=\"A4294967296\"",
    b" r=\"AAAAAAAAAAAA1\"",
    b" t=\"s\"",
    b" s=\"99999999\"",
    b"<v>-1</v>",
    b"&#0;",
    b"&#x10FFFF;",
    b"&amp;",
    b"%%",
    b"%F0%9F",
    "가".as_bytes(),
    "\u{202e}".as_bytes(),
    "１２３".as_bytes(),
];

/// A few changes at places that the seed chooses.
fn spoil(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..32)).min(bytes.len());
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            3 => bytes.truncate(at),
            4 => {
                let other = random.random_range(0..=bytes.len());
                let moved: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(other..other, moved);
            }
            _ => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
}

/// Runs a reader on each case, and says which seed it could not bear.
fn survives(what: &str, cases: u64, case: impl Fn(&mut StdRng) -> Vec<u8>, read: impl Fn(&[u8])) {
    for seed in 0..cases {
        let bytes = case(&mut StdRng::seed_from_u64(seed));
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        let took = begun.elapsed();
        assert!(
            ended.is_ok(),
            "{what}: seed {seed} panicked: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        assert!(took < LONGEST, "{what}: seed {seed} took {took:?}");
    }
}

fn table() -> Sheet {
    let row = |id: &str, name: &str, amount: i64| {
        vec![
            Cell::text(id),
            Cell::text(name),
            Cell::Won(Won::new(amount)),
            Cell::Day("2026-08-06".parse().unwrap()),
            Cell::Empty,
        ]
    };
    Sheet {
        name: "정산".into(),
        title_rows: Vec::new(),
        headers: ["아이디", "이름", "금액", "날", "메모"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![
            row("farm-1", "햇살농장", 12_000),
            row("0012345678901", "=A1+1", -5_000),
        ],
        totals: Some(vec![Cell::Empty, Cell::Empty, Cell::Won(Won::new(7_000))]),
        widths: Vec::new(),
    }
}

/// A bank's answer, and a list of partners.
fn texts() -> Vec<Vec<u8>> {
    let bank = "이체결과\r\n입금은행,입금계좌번호,이체금액,예금주,처리결과,오류사유\r\n004,123456789012,\"12,000\",햇살농장,정상,\r\n011,3010123456781,40050,햇살농원,오류,예금주 불일치\r\n";
    let partners = "id,name,type,bank,account,holder\nfarm-1,\"햇살, 농장\",INDIVIDUAL,004,123-45-6789,\"김 \"\"농부\"\"\"\n";
    let (korean, _, _) = encoding_rs::EUC_KR.encode(bank);
    vec![
        bank.as_bytes().to_vec(),
        korean.into_owned(),
        partners.as_bytes().to_vec(),
        partners.replace(',', "\t").into_bytes(),
        sheet::csv(&table(), Encoding::Utf8Bom).unwrap(),
    ]
}

fn read_everywhere(bytes: &[u8]) {
    let _ = sheet::read(bytes, Some("a.csv"));
    let _ = sheet::read_at_most(bytes, None, 10);
    for template in seeded() {
        let _ = read_result(&template, bytes);
    }
}

#[test]
fn a_spoiled_table_of_text_is_read_or_refused() {
    let seeds = texts();
    let case = |random: &mut StdRng| {
        let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
        spoil(random, &mut bytes);
        bytes
    };
    survives("text", cases(), case, read_everywhere);
}

/// Damage to the file as it is mostly ends at a checksum; damage to what is packed in it does not.
#[test]
fn a_spoiled_workbook_is_read_or_refused() {
    let whole = sheet::xlsx(&[table()]).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(&whole)).unwrap();
    let parts: Vec<(String, Vec<u8>)> = (0..archive.len())
        .map(|i| {
            let mut part = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            part.read_to_end(&mut bytes).unwrap();
            (part.name().unwrap().to_string(), bytes)
        })
        .collect();
    let packed = |parts: &[(String, Vec<u8>)]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in parts {
            let plain = zip::write::SimpleFileOptions::default();
            writer.start_file(name.as_str(), plain).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    // Packed anew it is the same.
    sheet::read(&packed(&parts), None).unwrap();
    let case = |random: &mut StdRng| {
        if random.random_range(0..8) == 0 {
            let mut bytes = whole.clone();
            spoil(random, &mut bytes);
            return bytes;
        }
        let mut parts = parts.clone();
        for _ in 0..random.random_range(1..3) {
            let part = random.random_range(0..parts.len());
            spoil(random, &mut parts[part].1);
        }
        packed(&parts)
    };
    survives("workbook", cases() / 10, case, |bytes| {
        let _ = sheet::read(bytes, Some("a.xlsx"));
        let template = &seeded()[0];
        let _ = read_result(template, bytes);
    });
}

#[test]
fn spoiled_words_are_read_or_refused() {
    let seeds = [
        "2026-08-06",
        "imp_262385355247",
        "ord-1001",
        "12,000",
        "110-123-456789",
        "3.3%",
        "123-45-67890",
        "1785982500000.42",
        "12000원",
    ];
    let case = |random: &mut StdRng| {
        let mut bytes = seeds[random.random_range(0..seeds.len())]
            .as_bytes()
            .to_vec();
        spoil(random, &mut bytes);
        bytes
    };
    survives("words", cases() * 10, case, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Ok(day) = text.parse::<KstDay>() {
            assert_eq!(day.to_string().parse::<KstDay>().unwrap(), day);
        }
        if let Ok(rate) = text.parse::<Rate>() {
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }
        if let Some(amount) = Wanted::read(&text).and_then(|wanted| wanted.amount()) {
            assert!(amount.get() >= 0);
        }
        if let Some(cursor) = payment_lists::Cursor::parse(&text) {
            assert_eq!(
                payment_lists::Cursor::parse(&cursor.to_string()),
                Some(cursor)
            );
        }
        let _ = ImpUid::new(text.clone());
        let _ = MerchantUid::new(text.clone());
        let _ = BankCode::parse(&text);
        let _ = AccountNumber::parse(&text);
        let _ = BusinessNumber::parse(&text);
    });
}
