//! What handlers share.

use std::sync::Arc;

use access::Access;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use view::graph::{GraphAnswer, GraphQuestion};
use view::{View, ViewError};

use crate::metrics::Metrics;
use crate::status::Status;
use crate::{Config, ui};

/// The state behind every route.
pub(crate) struct App {
    pub(crate) view: View,
    pub(crate) status: Arc<dyn Status>,
    pub(crate) access: Arc<Access>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Registry,
    pub(crate) questions: Semaphore,
    pub(crate) pages: ui::Pages,
}

impl App {
    /// The service graph, with what has just come.
    pub(crate) async fn graph(
        &self,
        tenant: &str,
        question: GraphQuestion,
        now_ns: i64,
    ) -> Result<GraphAnswer, ViewError> {
        self.status.freshen().await;
        self.view.graph(tenant, question, now_ns).await
    }

    pub(crate) fn new(
        view: View,
        status: Arc<impl Status>,
        access: Arc<Access>,
        config: Config,
        metrics: Metrics,
        registry: Registry,
    ) -> App {
        let questions = Semaphore::new(config.questions_max.max(1));
        App { view, status, access, config, metrics, registry, questions, pages: ui::Pages::embedded() }
    }
}
