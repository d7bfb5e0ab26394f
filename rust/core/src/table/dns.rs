//! The `dns` table: one row a query with its answer. A response to several mDNS queries is in the row of each.

use super::column::{Column, booleans, dictionary, lists_u32, names, numbers, text, text_lists};
use super::rows::{Rows, Streams, column, ends, point, whose};
use crate::app::Found;
use crate::app::dns::{Exchange, Message, Question, rcode_name, type_name};
use arrow_array::types::{Int64Type, UInt16Type, UInt64Type};
use std::fmt::Write as _;

fn dns(found: &Found) -> Option<&Exchange> {
    match found {
        Found::Dns(exchange) => Some(exchange),
        _ => None,
    }
}

fn each<'a>(rows: &Rows<'a>) -> impl ExactSizeIterator<Item = Option<&'a Exchange>> {
    rows.each(dns)
}

fn question(one: &Exchange) -> Option<&Question> {
    one.asking()?.questions.first()
}

fn response(one: &Exchange) -> Option<&Message> {
    one.response.as_ref()
}

/// The response, unless reading it stopped before the first of its answers: what they are is not known.
fn answered(one: &Exchange) -> Option<&Message> {
    response(one).filter(|message| !message.answers.is_empty() || !message.has_answers)
}

fn rtt(one: &Exchange) -> Option<i64> {
    one.query.as_ref().and(one.response.as_ref()).and_then(|_| one.asked.until(&one.answered))
}

pub(super) fn columns() -> Vec<Column<Streams>> {
    let mut all = whose();
    all.extend(point());
    all.extend(ends());
    all.extend([
        column!("proto", Dict, "udp or tcp.", |r| names(r.rows.iter().map(|row| Some(if row.who.proto == 6 {
            "tcp"
        } else {
            "udp"
        })))),
        column!("service", Dict, "dns, mdns or llmnr, by port.", |r| names(
            each(r).map(|one| one.map(|one| one.service))
        )),
        column!("trans_id", U16, "Identification.", |r| numbers::<UInt16Type, _>(
            each(r).map(|one| one.and_then(Exchange::asking).map(|message| message.id))
        )),
        column!("opcode", U16, "Operation: 0 query, 4 notify, 5 update, 6 DSO.", |r| numbers::<UInt16Type, _>(
            each(r).map(|one| one.and_then(Exchange::asking).map(|message| u16::from(message.opcode)))
        )),
        column!("query", Text, "Name of the first question, without the last dot; `.` is the root.", |r| {
            text(each(r).map(|one| one.and_then(question)), |question, out| {
                out.push_str(question.map_or("", |question| &question.name));
                question.is_some()
            })
        }),
        column!("qtype", U16, "Its type.", |r| numbers::<UInt16Type, _>(
            each(r).map(|one| one.and_then(question).map(|question| question.qtype))
        )),
        column!("qtype_name", Dict, "The type's name, `TYPE65280` for one without.", |r| {
            dictionary(each(r).map(|one| one.and_then(question).map(|question| question.qtype)), |number, out| {
                match type_name(*number) {
                    Some(name) => out.push_str(name),
                    None => write!(out, "TYPE{number}").unwrap_or_default(),
                }
            })
        }),
        column!("questions", ListText, "Every question as `name type`, if there are several (mDNS).", |r| {
            let several = |one: &'_ Exchange| one.asking().filter(|message| message.questions.len() > 1).is_some();
            let list = |one: Option<&Exchange>| {
                one.filter(|one| several(one))
                    .map(|one| one.asking().map(|message| message.questions.clone()).unwrap_or_default().into_iter())
            };
            text_lists(each(r).map(list), |question: Question, out| {
                match type_name(question.qtype) {
                    Some(name) => write!(out, "{} {name}", question.name),
                    None => write!(out, "{} TYPE{}", question.name, question.qtype),
                }
                .unwrap_or_default();
            })
        }),
        column!(
            "rcode",
            U16,
            "Response code, EDNS bits included; null without an answer.",
            |r| numbers::<UInt16Type, _>(each(r).map(|one| one.and_then(response).map(|message| message.rcode)))
        ),
        column!("rcode_name", Dict, "Its name.", |r| {
            dictionary(each(r).map(|one| one.and_then(response).map(|message| message.rcode)), |code, out| {
                match rcode_name(*code) {
                    Some(name) => out.push_str(name),
                    None => write!(out, "RCODE{code}").unwrap_or_default(),
                }
            })
        }),
        column!("rtt", Nanos, "From query to answer, ns; null unless both were seen. Of queries repeated within 5 s the first is answered.", |r| numbers::<Int64Type, _>(
            each(r).map(|one| one.and_then(rtt))
        )),
        column!(
            "answers",
            ListText,
            "Data of the answer section, as zone files write it (names as in `query`), up to 512 KiB a message; null without an answer, or if it was cut before them.",
            |r| {
                let list = |one: Option<&Exchange>| {
                    one.and_then(answered).map(|message| {
                        message.answers.iter().map(|answer| answer.data.clone()).collect::<Vec<_>>().into_iter()
                    })
                };
                text_lists(each(r).map(list), |answer: String, out| out.push_str(&answer))
            }
        ),
        column!("ttls", ListU32, "Times to live of the answers, seconds.", |r| {
            let list = |one: Option<&Exchange>| {
                one.and_then(answered)
                    .map(|message| message.answers.iter().map(|answer| answer.ttl).collect::<Vec<_>>().into_iter())
            };
            lists_u32(each(r).map(list))
        }),
        column!("answer_types", ListText, "Types of the answers.", |r| {
            let list = |one: Option<&Exchange>| {
                one.and_then(answered)
                    .map(|message| message.answers.iter().map(|answer| answer.rtype).collect::<Vec<_>>().into_iter())
            };
            text_lists(each(r).map(list), |rtype: u16, out| match type_name(rtype) {
                Some(name) => out.push_str(name),
                None => write!(out, "TYPE{rtype}").unwrap_or_default(),
            })
        }),
        column!("query_frame", U64, "Frame of the query.", |r| numbers::<UInt64Type, _>(
            each(r).map(|one| one.filter(|one| one.query.is_some()).map(|one| one.asked.frame))
        )),
        column!("response_frame", U64, "Frame of the answer.", |r| numbers::<UInt64Type, _>(
            each(r).map(|one| one.filter(|one| one.response.is_some()).map(|one| one.answered.frame))
        )),
        column!(
            "complete",
            Bool,
            "Query and answer were seen and could be read to the end; mDNS, LLMNR: what was seen of them.",
            |r| { booleans(each(r).map(|one| one.map(|one| one.fault().is_none()))) }
        ),
        column!("reason", Dict, "Why it is not complete.", |r| names(each(r).map(|one| one.and_then(Exchange::fault)))),
    ]);
    all
}
