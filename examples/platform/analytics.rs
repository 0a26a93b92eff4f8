//! The analytics server, which the gateway launches as a child process and talks to over stdin and stdout.

use serde_json::{Value, json};

use crate::kit::{Fault, Request, Server, text};

/// A server that sums up numbers.
pub(crate) struct Analytics;

impl Server for Analytics {
    fn name(&self) -> String {
        "analytics".into()
    }

    fn capabilities(&self) -> Value {
        json!({ "tools": {} })
    }

    async fn request(&self, request: Request) -> Result<Value, Fault> {
        match request.method.as_str() {
            "tools/list" => Ok(json!({ "tools": [{
                "name": "aggregate",
                "description": "Count, sum, least, greatest and mean of some numbers.",
                "inputSchema": {
                    "type": "object",
                    "properties": { "numbers": { "type": "array", "items": { "type": "number" }, "minItems": 1 } },
                    "required": ["numbers"],
                },
                "annotations": { "readOnlyHint": true },
            }]})),
            "tools/call" if request.params["name"] == "aggregate" => aggregate(&request),
            "tools/call" => Err(Fault::params("unknown tool")),
            other => Err(Fault::method(other)),
        }
    }
}

fn aggregate(request: &Request) -> Result<Value, Fault> {
    let numbers = request.params.pointer("/arguments/numbers").and_then(Value::as_array);
    let numbers = numbers.and_then(|numbers| numbers.iter().map(Value::as_f64).collect::<Option<Vec<_>>>());
    let numbers = numbers.filter(|numbers| !numbers.is_empty());
    let numbers = numbers.ok_or_else(|| Fault::params("numbers must be a non-empty array of numbers"))?;

    let total = numbers.len() as u64;
    let (mut sum, mut least, mut greatest) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
    for (done, number) in (1..).zip(&numbers) {
        sum += number;
        least = number.min(least);
        greatest = number.max(greatest);
        request.progress(done, total);
    }
    let mean = sum / total as f64;
    let mut result = text(format!("count {total}, sum {sum}, least {least}, greatest {greatest}, mean {mean}"));
    result["structuredContent"] =
        json!({ "count": total, "sum": sum, "least": least, "greatest": greatest, "mean": mean });
    Ok(result)
}
