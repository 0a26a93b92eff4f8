//! What nobody should send, sent to the program's own accept loop and routes by raw bytes, in both eras.
#![cfg(feature = "cli")]

mod corpus;
mod era;
mod front;
#[path = "../support/mod.rs"]
mod support;
mod talk;

use self::{
    corpus::{Case, Want},
    era::Era,
    front::Front,
    talk::{Answer, Talk},
};
use serde_json::json;
use std::fmt::Write;

/// How a case went wrong.
type Complaint = String;

/// Sends a case and checks that its answer is acceptable and that the next request is served.
async fn hold(front: &Front, era: &Era, case: &Case) -> Result<(), Complaint> {
    let counted = front.refusals();
    let mut talk = Talk::open(front.address).await;
    talk.send(&case.bytes(era)).await;
    let answer = talk.receive().await;
    if !case.wants.iter().any(|want| want.takes(answer.as_ref())) {
        return Err(format!("wanted {:?}, got {}", case.wants, Answer::show(answer.as_ref())));
    }
    // What has no JSON is not the gateway's: a page beside it, or no HTTP at all.
    if answer.as_ref().is_some_and(Answer::is_refusal) && front.refusals() == counted {
        return Err(format!("not counted: {}", Answer::show(answer.as_ref())));
    }
    let open = answer.is_some_and(|answer| answer.is_complete);
    match open && served(&mut talk, era).await.is_ok() {
        true => Ok(()),
        false => served(&mut Talk::open(front.address).await, era).await,
    }
}

/// Checks that a good call gets its answer, whatever answers of earlier bytes come before it.
async fn served(talk: &mut Talk, era: &Era) -> Result<(), Complaint> {
    talk.send(&era.good()).await;
    while let Some(answer) = talk.receive().await {
        let body = answer.json();
        if body["id"] == "good" && body["result"]["content"][0]["text"] == "hello" {
            return Ok(());
        }
    }
    Err("the next request was not served".to_owned())
}

#[tokio::test]
async fn every_hostile_input_gets_an_acceptable_answer_and_harms_no_later_request() {
    let front = Front::start().await;
    let eras = [Era::modern(front.address), Era::legacy(front.address).await];
    let (mut complaints, mut sent) = (String::new(), 0);
    for case in corpus::all() {
        for era in eras.iter().filter(|era| case.is_for(era)) {
            sent += 1;
            if let Err(complaint) = hold(&front, era, &case).await {
                writeln!(complaints, "{} · {} ({}): {complaint}", case.file, case.name, era.name).unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(sent >= 250, "only {sent} inputs");
}

#[test]
fn the_corpus_is_large_and_no_two_of_its_inputs_are_the_same() {
    let cases = corpus::all();
    let mut names: Vec<_> = cases.iter().map(|case| (case.file.clone(), case.name.clone())).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "names");
    assert!(cases.len() >= 250, "{} cases", cases.len());
    assert!(cases.iter().all(|case| !case.wants.is_empty()));
}

#[test]
fn a_case_that_is_not_held_is_seen() {
    let answer = |status: u16, body: serde_json::Value| Answer::of(status, body.to_string().into_bytes());
    let want = |text: &str| Want::parse(text).unwrap();
    let refused = answer(400, json!({ "error": { "code": -32600 } }));
    assert!(want("400").takes(Some(&refused)) && want("400/-32600").takes(Some(&refused)));
    assert!(!want("200").takes(Some(&refused)) && !want("400/-32700").takes(Some(&refused)));
    assert!(!want("cut").takes(Some(&refused)) && want("cut").takes(None) && !want("400").takes(None));
    let result = answer(200, json!({ "result": {} }));
    assert!(want("200/result").takes(Some(&result)) && !want("200/result").takes(Some(&refused)));
}
