//! A panic ends one request, not the server.

use std::any::Any;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

use crate::metrics::Metrics;
use crate::problem::Problem;

/// Answers for a request that panicked.
#[derive(Debug, Clone)]
pub(super) struct Panicked(Arc<Metrics>);

/// Turns panics into problems, and counts them.
pub(super) fn layer(metrics: Arc<Metrics>) -> CatchPanicLayer<Panicked> {
    CatchPanicLayer::custom(Panicked(metrics))
}

impl ResponseForPanic for Panicked {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send + 'static>) -> Response {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        tracing::error!(what, "a request panicked");
        self.0.count("dawn_panics_total", &[]);
        Problem::internal("the request failed inside the server; the operator's log says why")
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    async fn broken() -> &'static str {
        panic!("secret detail")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_message() {
        let metrics = Arc::new(Metrics::default());
        let router: Router = Router::new()
            .route("/", get(broken))
            .layer(layer(Arc::clone(&metrics)));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .expect("a body");
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
        assert!(metrics.render().contains("dawn_panics_total 1"));
    }
}
