//! A result far larger than the memory the program may take for it.

use crate::{
    piecemeal::{Client, EVENTS, Era, Server, head, note},
    program::Program,
};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The result, in bytes.
const RESULT: usize = 64 << 20;
/// What is sent of it at a time.
const PIECE: usize = 256 << 10;

/// The most that the program's memory may grow by.
const GROWTH_MIB: u64 = 8;

/// The most that lies between server and client: what the program may take, and what the sockets of both hold. Linux lets a
/// socket of the loopback grow to 6 MiB at the reader's end and 4 at the writer's.
const BETWEEN: usize = (GROWTH_MIB as usize + 2 * (6 + 4)) << 20;

/// How the server answers.
#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    /// With one event.
    Event,
    /// With notes of progress, and then the result.
    BehindNotes,
}

impl Form {
    const ALL: [Form; 3] = [Form::Json, Form::Event, Form::BehindNotes];
}

#[tokio::test]
async fn a_result_of_64_mib_passes_in_8_mib_as_fast_as_the_client_reads_it() {
    for (era, form) in Era::ALL.into_iter().flat_map(|era| Form::ALL.map(|form| (era, form))) {
        let mut server = Server::start(era).await;
        let connection = json!({ "type": "http", "url": server.url() });
        let entry = json!({ "id": "one-1", "name": "one", "transport": "http", "connection": connection });
        let limits = json!({ "maxMessageBytes": RESULT + PIECE });
        let program = Program::with(&format!("large-{era:?}-{form:?}"), vec![entry], limits).await;
        let client = Client::open(era, program.address).await;
        let warm = tokio::spawn({
            let client = client.clone();
            async move { client.call(json!(0)).await.collect().await }
        });
        server.call().await.result("{}").await;
        assert_eq!(warm.await.expect("an answer").status.as_u16(), 200);
        let before = program.peak_mib();

        let calling = tokio::spawn(async move { client.watch(json!(1)).await });
        let mut request = server.call().await;
        let opening = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"a\":\"", request.id());
        let (begin, end) = match form {
            Form::Json => (head(Some(opening.len() + RESULT + 3)), ""),
            Form::Event => (EVENTS.to_owned() + "data: ", "\n\n"),
            Form::BehindNotes => (EVENTS.to_owned() + &note(&request, 1) + &note(&request, 2) + "data: ", "\n\n"),
        };
        let sent = AtomicUsize::new(0);
        let sending = async {
            request.send(begin + &opening).await;
            let piece = "x".repeat(PIECE);
            for _ in 0..RESULT / PIECE {
                request.send(&piece).await;
                sent.fetch_add(PIECE, SeqCst);
            }
            request.send(format!("\"}}}}{end}")).await;
            // An event stream ends with its connection.
            request.shut().await;
        };
        let reading = async {
            let mut answer = calling.await.expect("an answer");
            let (mut got, mut last) = (0, Vec::new());
            loop {
                let bytes = answer.bytes(1).await;
                if bytes.is_empty() {
                    break;
                }
                got += bytes.len();
                last = bytes;
                assert!(sent.load(SeqCst) <= got + BETWEEN, "read far ahead of the client");
            }
            let last = last.trim_ascii_end();
            assert!(!answer.is_cut() && last.ends_with(b"}}"), "{era:?}, {form:?}");
            got
        };
        let ((), got) = tokio::join!(sending, reading);
        assert!(got > RESULT, "{got}");
        let grown = program.peak_mib() - before;
        println!("{era:?}, {form:?}: {grown} MiB");
        assert!(grown < GROWTH_MIB, "{era:?}, {form:?}: {grown} MiB");
    }
}
