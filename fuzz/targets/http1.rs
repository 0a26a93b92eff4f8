//! Connections of HTTP/1.1: however what a client sends is cut into reads, the same requests are read, httparse reads them so
//! too, and what is answered is HTTP.

use super::answering::wait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use httparse::{EMPTY_HEADER, Status};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_mcp_gateway::cli::accept::{self, Incoming};

/// The most that is looked at, in bytes: several requests.
const MOST: usize = 8 << 10;
/// Room for all that is answered to them, in bytes, so that nobody waits for room.
const BETWEEN: usize = 1 << 20;

type Headers = Vec<(String, Vec<u8>)>;

/// A request as the service got it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Headers,
    body: Read,
}

#[derive(Clone, Debug, PartialEq)]
enum Read {
    /// It broke, or its end never came.
    Broken,
    Whole(Bytes),
    /// Nobody looked at it.
    Ignored,
}

/// An answer as its client gets it.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

/// The first byte says how small the reads are.
pub fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let data = &data[..data.len().min(MOST)];
    let (seen, said) = talk(data, MOST);
    let (seen_cut, said_cut) = talk(data, 1 + usize::from(*first) % 17);
    assert_eq!(seen_cut, seen);
    reads_alike(data, &seen);
    let answers = answers(&said, &seen);
    assert_eq!(self::answers(&said_cut, &seen), answers);
    answer_their_requests(&answers, &seen);
}

/// What the service sees and the client gets when `data` arrives in pieces of this size.
fn talk(data: &[u8], piece: usize) -> (Vec<Seen>, Vec<u8>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (mut client, server) = tokio::io::duplex(BETWEEN);
    let to_service = seen.clone();
    let service = tower::service_fn(move |request| answer(request, to_service.clone()));
    let said = wait(async {
        let talking = async {
            for piece in data.chunks(piece) {
                if client.write_all(piece).await.is_err() {
                    break;
                }
                // The connection takes it before more comes.
                tokio::task::yield_now().await;
            }
            let (_, mut said) = (client.shutdown().await, Vec::new());
            client.read_to_end(&mut said).await.expect("memory");
            said
        };
        tokio::join!(accept::connection(server, service), talking).1
    });
    let seen = seen.lock().expect("nobody panicked").clone();
    (seen, said)
}

type Body =
    Either<Full<Bytes>, StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

/// Answers with what it got: in two pieces of unknown length below `/stream`, without reading the body below `/deaf`.
async fn answer(request: Request<Incoming>, seen: Arc<Mutex<Vec<Seen>>>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let (method, uri, version) = (parts.method, parts.uri, parts.version);
    // Of one who waits for a word before its body it depends on the reads whether another request follows.
    let ignored = uri.path() == "/deaf" && !parts.headers.contains_key(header::EXPECT);
    let place = {
        let mut seen = seen.lock().expect("nobody panicked");
        seen.push(Seen { method, uri, version, headers: sorted(headers), body: Read::Broken });
        seen.len() - 1
    };
    let read = match ignored {
        true => Read::Ignored,
        false => body.collect().await.map_or(Read::Broken, |body| Read::Whole(body.to_bytes())),
    };
    let mut seen = seen.lock().expect("nobody panicked");
    seen[place].body = read;
    let echo = echo(&seen[place]);
    let body = if seen[place].uri.path() == "/stream" {
        let (first, last) = (echo.slice(..3), echo.slice(3..));
        Either::Right(StreamBody::new(futures_util::stream::iter(vec![Ok(Frame::data(first)), Ok(Frame::data(last))])))
    } else {
        Either::Left(Full::new(echo))
    };
    let status = if seen[place].method == Method::DELETE { StatusCode::NO_CONTENT } else { StatusCode::OK };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}

fn echo(seen: &Seen) -> Bytes {
    let head = format!("{} {} ", seen.method, seen.uri);
    match &seen.body {
        Read::Whole(body) => [head.as_bytes(), body].concat().into(),
        Read::Broken => (head + "broken").into(),
        Read::Ignored => head.into(),
    }
}

fn sorted(mut headers: Headers) -> Headers {
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

/// Checks that httparse reads the requests that were seen in `rest`, one behind the other.
fn reads_alike(mut rest: &[u8], seen: &[Seen]) {
    for (n, one) in seen.iter().enumerate() {
        let mut headers = [EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(Status::Complete(end)) = request.parse(rest) else {
            panic!("only one of two takes it for a head: {one:?}")
        };
        let headers = owned(request.headers);
        assert_eq!(request.method, Some(one.method.as_str()));
        assert_eq!(request.path.and_then(|path| path.parse().ok()), Some(one.uri.clone()));
        assert_eq!(request.version, Some(u8::from(one.version == Version::HTTP_11)));
        assert_eq!(headers, one.headers);
        let body = body(&rest[end..], &headers);
        let is_last = n + 1 == seen.len();
        match (&one.body, body) {
            (Read::Whole(body), Some((reference, behind))) => {
                assert_eq!(*body, reference);
                rest = behind;
            }
            (Read::Whole(_), None) => panic!("only one of two takes it for a body: {one:?}"),
            (Read::Ignored, Some((_, behind))) => rest = behind,
            (Read::Ignored | Read::Broken, _) => assert!(is_last, "a request behind what is no body: {seen:?}"),
        }
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Headers {
    sorted(headers.iter().map(|one| (one.name.to_ascii_lowercase(), one.value.to_vec())).collect())
}

/// A body at the beginning of `rest`, and what is behind it; `None` if it is not all there, or none.
fn body<'a>(rest: &'a [u8], headers: &Headers) -> Option<(Vec<u8>, &'a [u8])> {
    let value = |name: &str| headers.iter().find(|(of, _)| of == name).map(|(_, value)| value);
    if value("transfer-encoding").is_some() {
        return chunks(rest);
    }
    let length = value("content-length").map_or(Some(0), |length| std::str::from_utf8(length).ok()?.parse().ok())?;
    let (body, behind) = rest.split_at_checked(length)?;
    Some((body.to_vec(), behind))
}

fn chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let Ok(Status::Complete((end, size))) = httparse::parse_chunk_size(rest) else { return None };
        rest = &rest[end..];
        if size == 0 {
            break;
        }
        let (data, behind) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        body.extend_from_slice(data);
        rest = behind.strip_prefix(b"\r\n")?;
    }
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let trailer = &rest[..end];
        rest = &rest[end + 2..];
        if trailer.is_empty() {
            return Some((body, rest));
        }
    }
}

/// The answers in what was said, which must be HTTP to its last byte; without their dates, and without the words that make a
/// client go on.
fn answers(mut said: &[u8], seen: &[Seen]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    while !said.is_empty() {
        let mut headers = [EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(Status::Complete(end)) = response.parse(said) else { panic!("no head of an answer: {said:?}") };
        assert_eq!(response.version, Some(1));
        let (status, headers) = (response.code.expect("a status"), owned(response.headers));
        said = &said[end..];
        if status == 100 {
            assert!(headers.is_empty());
            continue;
        }
        let closes =
            |answer: &Answer| answer.headers.iter().any(|(name, value)| name == "connection" && value == b"close");
        assert!(!answers.last().is_some_and(closes), "an answer behind the last");
        let request = seen.get(answers.len());
        let has = |name: &str| headers.iter().any(|(of, _)| of == name);
        let (body, behind) = match request {
            _ if status == 204 || request.is_some_and(|request| request.method == Method::HEAD) => (Vec::new(), said),
            _ if has("content-length") || has("transfer-encoding") => body(said, &headers).expect("a whole body"),
            _ => (said.to_vec(), &b""[..]),
        };
        said = behind;
        let headers = headers.into_iter().filter(|(name, _)| name != "date").collect();
        answers.push(Answer { status, headers, body });
    }
    answers
}

/// Checks that each request got its own answer; at most one more refuses what is none, and the client that left in the middle of
/// its last request gets none.
fn answer_their_requests(answers: &[Answer], seen: &[Seen]) {
    assert!((seen.len().saturating_sub(1)..=seen.len() + 1).contains(&answers.len()), "{answers:?} to {seen:?}");
    if answers.len() < seen.len() {
        assert!(matches!(seen.last(), Some(Seen { body: Read::Broken, .. })), "{seen:?}");
    }
    for (answer, request) in answers.iter().zip(seen) {
        let is_whole = !matches!(request.method, Method::HEAD | Method::DELETE);
        assert_eq!(answer.status, if request.method == Method::DELETE { 204 } else { 200 });
        assert_eq!(answer.body, if is_whole { echo(request) } else { Bytes::new() });
    }
    if let Some(refusal) = answers.get(seen.len()) {
        assert!(matches!(refusal.status, 400 | 431), "{refusal:?}");
    }
}
