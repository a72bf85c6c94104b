//! `/explain` and `/decisions`: what is asked of workers. Nothing is sent to an instance for it, and no call is counted.

use std::collections::HashMap;

use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use tokio::task::spawn_blocking;

use crate::{
    plugin::decision::Decision,
    snapshot::{
        NoAnswer, Questions, Snapshot,
        explanation::{Explanation, Supposed},
    },
};

/// Bytes of a question.
const LONGEST: usize = 4 << 20;

/// What would become of the call that the body describes, or why that cannot be told.
pub(super) async fn explain<B>(body: B, workers: &Questions) -> Result<Explanation, (StatusCode, String)>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bad = |text: String| (StatusCode::BAD_REQUEST, format!("{text}\n"));
    let body = Limited::new(body, LONGEST).collect().await;
    let body = body.map_err(|error| bad(format!("the question cannot be read: {error}")))?.to_bytes();
    let call: Supposed = serde_json::from_slice(&body).map_err(|error| bad(format!("this is no question: {error}")))?;
    call.check().map_err(bad)?;
    workers.explain(call).await.map_err(|no_answer| {
        let status = match no_answer {
            NoAnswer::NoWorker(..) => StatusCode::NOT_FOUND,
            NoAnswer::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{no_answer}\n"))
    })
}

/// Lines of JSON, a decision each; with `plugin` only those of that one.
pub(super) async fn decisions(
    query: HashMap<String, String>,
    current: Vec<(String, String)>,
    workers: &Questions,
) -> Result<String, (StatusCode, String)> {
    if let Some(unknown) = query.keys().find(|key| *key != "plugin") {
        return Err((StatusCode::BAD_REQUEST, format!("there is no filter {unknown:?}; use plugin\n")));
    }
    let decisions = workers.decisions(query.get("plugin").map(|name| name.as_str().into())).await;
    // There may be megabytes of it.
    let lines = spawn_blocking(move || lines(decisions, &current)).await;
    lines.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
}

/// Plugins and the versions that decide.
pub(super) fn current(snapshot: &Snapshot) -> Vec<(String, String)> {
    let of = |plugin: &std::sync::Arc<crate::plugin::Plugin>| (plugin.name().to_owned(), plugin.version().to_owned());
    snapshot.plugins.iter().map(of).collect()
}

fn lines(decisions: Vec<Decision>, current: &[(String, String)]) -> String {
    let is_current = |of: &Decision| current.iter().any(|(name, version)| *name == of.plugin && *version == of.version);
    let line = |decision: Decision| Decision { current: is_current(&decision), ..decision }.line() + "\n";
    decisions.into_iter().map(line).collect()
}
