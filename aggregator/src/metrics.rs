//! Numbers for Prometheus. The recorder belongs to one running aggregator and is never installed globally,
//! so several may run in one process.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

static METADATA: Metadata<'static> = Metadata::new(
    "dawn_aggregator",
    metrics::Level::INFO,
    Some("dawn_aggregator"),
);

/// Counts of one running aggregator.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        for (name, what) in [
            (
                "dawn_http_requests_total",
                "Requests by route, method and status",
            ),
            (
                "dawn_transaction_retries_total",
                "Transactions that Postgres asked to repeat",
            ),
            ("dawn_transactions_total", "Transactions by name"),
            ("dawn_submissions_total", "Submissions by outcome"),
            (
                "dawn_statements_total",
                "Statements of stewards by kind and outcome",
            ),
            ("dawn_phases_total", "Phases that this replica ended"),
            (
                "dawn_decisions_total",
                "Submissions that this replica judged, by decision",
            ),
            (
                "dawn_liars_total",
                "Stewards that verdicts of this replica name as liars",
            ),
            (
                "dawn_jobs_failed_total",
                "Jobs that ended in an error and will be tried again",
            ),
            ("dawn_panics_total", "Requests that ended in a panic"),
        ] {
            metrics
                .recorder
                .describe_counter(KeyName::from(name), None, what.into());
        }
        metrics.recorder.describe_histogram(
            KeyName::from("dawn_http_request_seconds"),
            Some(Unit::Seconds),
            "Time until the head of the answer".into(),
        );
        metrics.recorder.describe_gauge(
            KeyName::from("dawn_uploads"),
            None,
            "Uploads in progress".into(),
        );
        metrics.recorder.describe_gauge(
            KeyName::from("dawn_upload_places"),
            None,
            "Uploads whose large part is being read".into(),
        );
        metrics.recorder.describe_histogram(
            KeyName::from("dawn_computation_seconds"),
            Some(Unit::Seconds),
            "Computations over all submissions of a round, by what they compute".into(),
        );
        metrics
    }
}

impl Metrics {
    fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
        let labels: Vec<Label> = labels
            .iter()
            .map(|(key, value)| Label::new(*key, (*value).to_owned()))
            .collect();
        Key::from_parts(name, labels)
    }

    /// One more of `name`.
    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        self.count_many(name, labels, 1);
    }

    /// `number` more of `name`.
    pub fn count_many(&self, name: &'static str, labels: &[(&'static str, &str)], number: u64) {
        let counter: Counter = self
            .recorder
            .register_counter(&Self::key(name, labels), &METADATA);
        counter.increment(number);
    }

    /// A duration of `name`, in seconds.
    pub fn observe(&self, name: &'static str, labels: &[(&'static str, &str)], seconds: f64) {
        let histogram: Histogram = self
            .recorder
            .register_histogram(&Self::key(name, labels), &METADATA);
        histogram.record(seconds);
    }

    /// A gauge that goes up and down.
    pub fn gauge(&self, name: &'static str) -> Gauge {
        self.recorder
            .register_gauge(&Self::key(name, &[]), &METADATA)
    }

    /// Folds the single observations of histograms together; without it they pile up when nobody reads.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.upkeep();
        self.handle.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_one_process_count_apart() {
        let (a, b) = (Metrics::default(), Metrics::default());
        a.count("dawn_submissions_total", &[("outcome", "stored")]);
        a.count("dawn_submissions_total", &[("outcome", "stored")]);
        assert!(
            a.render()
                .contains("dawn_submissions_total{outcome=\"stored\"} 2")
        );
        assert!(!b.render().contains("outcome=\"stored\""));
    }
}
