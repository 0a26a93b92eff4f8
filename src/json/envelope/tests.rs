use super::*;
use crate::json::MAX_DEPTH;

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn the_three_kinds_are_told_apart() {
    let request = parse(r#"{"jsonrpc":"2.0","id":"x","method":"tools/list"}"#).unwrap();
    assert!(
        matches!(request, Message::Request { id, params, .. } if id.as_str() == "\"x\"" && params.as_str() == "{}")
    );
    let note = parse(r#"{"method":"notifications/initialized","jsonrpc":"2.0","params":{"a":1}}"#).unwrap();
    assert!(matches!(note, Message::Notification { params, .. } if params.as_str() == r#"{"a":1}"#));
    let result = parse(r#"{"jsonrpc":"2.0","result":[1],"id":3}"#).unwrap();
    assert!(matches!(result, Message::Response { id: Some(id), outcome: Ok(_) } if id.as_u64() == Some(3)));
    let error = parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#).unwrap();
    assert!(matches!(error, Message::Response { id: None, outcome: Err(_) }));
}

#[test]
fn a_faulty_message_is_refused_with_the_id_it_carries() {
    for text in [
        r#"{"id":5,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"a","method":"b"}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"a","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"a","jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":5,"result":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":5}"#,
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.is_json(), "{text}: {error}");
        assert_eq!(error.id().and_then(Id::as_u64), Some(5), "{text}: {error}");
        assert_eq!(error.asks(), text.contains("method"), "{text}");
    }
    for text in ["", "[]", "{", "nonsense", "{}}", r#"{"jsonrpc":"2.0","#, r#"{"jsonrpc":"2.0",}"#] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(parse(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#).unwrap_err().is_json());
    assert!(!parse(r#"{"jsonrpc":"2.0","id":1,"method":"a""#).unwrap_err().is_json());
}

#[test]
fn a_member_that_may_be_taken_for_another_is_refused_in_a_request_and_nowhere_else() {
    let message = |id: &str, params: &str| parse(&format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params}{id}}}"#));
    for (params, member) in [
        (r#"{"name":"read_file","Name":"delete_file"}"#, "Name"),
        (r#"{"NAME":"delete_file","name":"read_file"}"#, "NAME"),
        (r#"{"uri":"a","Uri":"b"}"#, "Uri"),
        (r#"{"name":"a","argument\u017f":{}}"#, "argument\u{17f}"),
        (r#"{"name":"a","name\u0000":"b"}"#, "name\\0"),
        (r#"{"name":"a","_Meta":{}}"#, "_Meta"),
        (r#"{"name":"a","_meta":{"progresstoken":1}}"#, "progresstoken"),
        (r#"{"name":"a","_meta":{"IO.modelcontextprotocol/logLevel":1}}"#, "IO.modelcontextprotocol/logLevel"),
        (r#"{"name":"a","RequestState":"s"}"#, "RequestState"),
        (r#"{"ref":{"type":"ref/prompt","name":"a"},"Ref":{}}"#, "Ref"),
        (r#"{"ref":{"type":"ref/prompt","name":"a","Name":"b"}}"#, "Name"),
        (r#"{"ref":{"Type":"ref/resource","type":"ref/prompt"}}"#, "Type"),
    ] {
        let error = message(r#","id":5"#, params).unwrap_err();
        assert!(matches!(error.fault(), Fault::Alike { .. }), "{params}: {error}");
        assert!(error.to_string().contains(&format!("\"{member}\"")), "{params}: {error}");
        assert!(error.is_json() && error.asks() && error.id().and_then(Id::as_u64) == Some(5), "{params}");
        assert!(message("", params).is_ok(), "nothing is decided by a notification: {params}");
        let asked = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params},"id":5}}"#);
        assert!(Message::of_server(asked.into()).is_ok(), "nor by a question of a server: {params}");
    }
    for params in [
        r#"{"name":"a","arguments":{"Name":1,"NAME":2,"URI":3,"name\u0000":4,"_Meta":{"Name":5}}}"#,
        r#"{"name":"a","names":1,"title":"Name","_meta":{"traceparent":"x","Name":1,"name":2}}"#,
        r#"{"ref":{"type":"ref/prompt","name":"a","title":"A"},"argument":{"Name":"x"}}"#,
        r#"{"ref":["Name"]}"#,
    ] {
        assert!(message(r#","id":5"#, params).is_ok(), "{params}");
    }
}

#[test]
fn a_result_knows_which_members_it_has_however_they_are_spelled() {
    let result = |text: &str| match parse(&format!(r#"{{"jsonrpc":"2.0","result":{text},"id":3}}"#)).unwrap() {
        Message::Response { outcome: Ok(result), .. } => result,
        other => panic!("{other:?}"),
    };
    let some = result(r#"{"a":{"ttlMs":1},"b":"resultType","\u0063acheScope":"x","structuredContent":{}}"#);
    assert!(some.has("structuredContent") && some.has("cacheScope"));
    assert!(!some.has("ttlMs") && !some.has("resultType"));
    assert!(some.has("a") && !some.has("c"), "also of members that are not noted");
    assert!(!result("[\"ttlMs\"]").has("ttlMs"));
    assert!(Json::from_static(r#"{"ttlMs":1}"#).has("ttlMs"));
}

#[test]
fn a_note_of_progress_reads_the_same_whether_its_opening_is_compared_or_read() {
    let compared = [OPENING, PROGRESS, TELLS].concat();
    // As long, so that what is wrong stands at the same place.
    let read = br#"{"method":"notifications/progress","jsonrpc":"2.0","params":{"progressToken":"#;
    let said = |opening: &[u8], rest: &str| match Message::parse([opening, rest.as_bytes()].concat().into()) {
        Ok(Message::Notification { method, params }) => format!(
            "{method:?} {} {:?} {:?} {:?}",
            params.as_str(),
            params.told_token().map(|token| token.as_str().to_owned()),
            params.name(),
            params.meta_member("progressToken").is_some(),
        ),
        other => format!("{other:?}"),
    };
    let deep = |depth: usize| format!(r#"7,"a":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    let rests = [
        "7}}",
        r#""é\"",progress":1}}"#,
        r#"7,"progress":0.5,"total":10,"message":"step 1","name":"n","_meta":{"progressToken":8}}}"#,
        r#" 7 , "progress" : 1 } , "a" : [ ] } "#,
        r#"{"a":[1]},"progress":1}}"#,
        r#"7,"progressToken":8}}"#,
        r#"7,"a":1,"a":2}}"#,
        r#"7},"params":{}}"#,
        r#"7},"method":"a"}"#,
        r#"7},"jsonrpc":"2.0"}"#,
        r#"7},"id":5}"#,
        r#"7,"Name":1,"name":"n"},"id":5}"#,
        r#"7},"result":{}}"#,
        r#"7},}"#,
        r#"7,}}"#,
        "7}",
        "7}}x",
        "7",
        "}}",
        "",
        &deep(MAX_DEPTH - 2),
        &deep(MAX_DEPTH - 1),
    ];
    for rest in rests {
        assert_eq!(said(&compared, rest), said(read, rest), "{rest}");
    }
    assert!(said(&compared, rests[0]).ends_with(r#" {"progressToken":7} Some("7") None false"#));
    assert!(
        said(&compared, rests[5]).contains("Duplicate") && said(&compared, &deep(MAX_DEPTH - 1)).contains("TooDeep")
    );
}

#[cfg(feature = "legacy")]
#[test]
fn a_result_knows_whether_it_asks_for_more() {
    for (text, asks) in [
        (r#"{"resultType":"input_required","inputRequests":{}}"#, true),
        (r#"{"a":[1], "result\u0054ype" : "input_required" }"#, true),
        (r#"{"resultType":"complete","content":["input_required"]}"#, false),
        (r#"{"content":{"resultType":"input_required"}}"#, false),
        (r#"{"kind":"input_required"}"#, false),
        (r#"{}"#, false),
    ] {
        let parsed = parse(&format!(r#"{{"jsonrpc":"2.0","id":3,"result":{text}}}"#)).unwrap();
        let Message::Response { outcome: Ok(scanned), .. } = parsed else { panic!("{parsed:?}") };
        assert_eq!((scanned.asks(), Json::parse(text).unwrap().asks()), (asks, asks), "{text}");
    }
}

#[test]
fn batches_are_split_without_copying() {
    let body = Bytes::from_static(b" [ {\"a\":1} , 2 ]");
    assert_eq!(elements(&body, MAX_BATCH).unwrap().unwrap(), ["{\"a\":1}", "2"]);
    assert_eq!(elements(&Bytes::from_static(b"{}"), MAX_BATCH).unwrap(), None);
    let array = |n: usize| elements(&Bytes::from(format!("[{}1]", "1,".repeat(n - 1))), MAX_BATCH);
    assert_eq!(array(MAX_BATCH).unwrap().unwrap().len(), MAX_BATCH);
    assert!(array(MAX_BATCH + 1).unwrap_err().is_json());
}
