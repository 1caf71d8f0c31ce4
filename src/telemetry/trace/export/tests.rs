//! The exporter against collectors that take, refuse, hang, or are not there.

use std::convert::Infallible;
use std::sync::Mutex as StdMutex;

use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpListener;

use super::*;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector that answers with these statuses in turn, the last one for ever.
struct Collector {
    url: String,
    taken: Arc<StdMutex<Vec<Json>>>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

async fn collector(statuses: &'static [u16], answer: &'static str) -> Collector {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let taken = Arc::<StdMutex<Vec<Json>>>::default();
    let kept = Arc::clone(&taken);
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let kept = Arc::clone(&kept);
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    assert_eq!(request.headers()["content-type"], "application/json");
                    assert_eq!(request.headers()["x-token"], "t");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let mut kept = kept.lock().unwrap();
                    kept.push(serde_json::from_slice(&body).unwrap());
                    let status = statuses[(kept.len() - 1).min(statuses.len() - 1)];
                    let mut response = Response::new(Full::new(bytes::Bytes::from(answer)));
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, Infallible>(response)
                }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    Collector {
        url,
        taken,
        _task: tokio_util::task::AbortOnDropHandle::new(task),
    }
}

fn tracer(url: &str) -> Tracer {
    Tracer::start(Settings {
        endpoint: url.parse().unwrap(),
        headers: vec![("x-token".parse().unwrap(), "t".parse().unwrap())],
        timeout: Duration::from_secs(30),
        delay: Duration::from_millis(1),
        resource: vec![("service.name".to_owned(), "smcp".to_owned())],
        sampler: Sampler::default(),
    })
    .unwrap()
}

fn span(tracer: &Tracer) -> Span {
    tracer.request(None, || "tools/call".into())
}

#[tokio::test]
async fn a_span_and_those_below_it_arrive_whole() {
    let collector = collector(&[200], "{}").await;
    let tracer = tracer(&collector.url);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parent = TraceContext::parse(parent, Some("a=b"));
    let mut request = tracer.request(parent, || "tools/call x__y".into());
    request.set("smcp.outcome", "timeout");
    request.set("process.exit.code", 3);
    request.fail("timeout");
    drop(request.trace().span("queue"));
    drop(request);
    tracer.close(PATIENCE).await;
    assert_eq!(tracer.counts().exported(), 2);
    let taken = collector.taken.lock().unwrap();
    let all = taken.iter().flat_map(|request| {
        assert_eq!(
            request["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"],
            "smcp"
        );
        let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans.as_array().unwrap().clone()
    });
    let all: Vec<Json> = all.collect();
    let named = |name: &str| all.iter().find(|span| span["name"] == name).unwrap();
    let (request, queue) = (named("tools/call x__y"), named("queue"));
    assert_eq!(request["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(request["traceState"], "a=b");
    assert_eq!((&request["kind"], &queue["kind"]), (&2.into(), &1.into()));
    assert_eq!(request["flags"], 0x301);
    assert_eq!(request["status"]["code"], 2);
    assert_eq!(request["attributes"][1]["value"]["intValue"], "3");
    assert_eq!(queue["parentSpanId"], request["spanId"]);
    assert_eq!(queue["traceId"], request["traceId"]);
    let nanos = |span: &Json, name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    assert!(nanos(request, "startTimeUnixNano") <= nanos(queue, "startTimeUnixNano"));
    assert!(nanos(queue, "endTimeUnixNano") <= nanos(request, "endTimeUnixNano") + 1_000_000_000);
}

#[tokio::test]
async fn a_collector_without_room_is_asked_again_and_one_that_refuses_is_not() {
    let busy = collector(&[503, 200], "{}").await;
    let patient = tracer(&busy.url);
    drop(span(&patient));
    let all_taken = async {
        while patient.counts().exported() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_taken).await.unwrap();
    patient.close(PATIENCE).await;
    assert_eq!(busy.taken.lock().unwrap().len(), 2);
    let refusing = collector(&[400], "").await;
    let refused = tracer(&refusing.url);
    drop(span(&refused));
    refused.close(PATIENCE).await;
    assert_eq!(refusing.taken.lock().unwrap().len(), 1);
    assert_eq!(refused.counts().lost()[1], ("not_sent", 1));
}

#[tokio::test]
async fn spans_that_the_collector_rejects_are_counted_as_lost() {
    let answer = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}"#;
    let collector = collector(&[200], answer).await;
    let tracer = tracer(&collector.url);
    drop(span(&tracer));
    tracer.close(PATIENCE).await;
    assert_eq!(tracer.counts().lost()[2], ("rejected", 1));
    assert_eq!(tracer.counts().exported(), 0);
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_nobody_and_takes_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tracer = tracer(&format!("http://{}", listener.local_addr().unwrap()));
    // More than the queue and the batch on its way together.
    for _ in 0..3_000 {
        drop(span(&tracer));
    }
    let [overflow, ..] = tracer.counts().lost();
    assert_eq!(overflow.0, "queue_full");
    assert!(overflow.1 >= 3_000 - 2_048 - 512, "{overflow:?}");
    // Returns, although nobody ever answers.
    tracer.close(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn what_is_not_sampled_is_passed_on_and_not_recorded() {
    let collector = collector(&[200], "{}").await;
    let tracer = tracer(&collector.url);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let unsampled = TraceContext::parse(parent, None);
    let request = tracer.request(unsampled, || unreachable!("nobody asks for its name"));
    assert!(!request.is_recorded());
    let (name, value) = request.trace().variables().remove(0);
    assert_eq!(name, "TRACEPARENT");
    assert!(value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && value.ends_with("-00"));
    drop(request.trace().span("queue"));
    drop(request);
    tracer.close(PATIENCE).await;
    assert!(collector.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_an_exporter_a_trace_is_passed_on_as_it_came() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = TraceContext::parse(parent, Some("a=b"));
    let span = Tracer::default().request(context, || unreachable!("nobody asks for its name"));
    let expected = [("TRACEPARENT", parent), ("TRACESTATE", "a=b")];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(span.trace().variables(), expected);
    let none = Tracer::default().request(None, || unreachable!("nobody asks for its name"));
    assert!(none.trace().is_none());
}
