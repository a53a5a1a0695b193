//! Services and operations: the names that everything else is filtered by.
//!
//! They are asked for by every page, so answers are kept for a moment: so short that what was stored is
//! seen within a second, and only as long as getting them was dear (twenty times the time it took). The
//! tenant is part of the key.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::future::Cache;
use serde::Serialize;
use store::questions::{Window, services};
use utoipa::ToSchema;

use crate::shared::{KINDS, Ns, number_of};
use crate::time::TimeRange;
use crate::{View, ViewError, ask};

/// Services of a window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServicesAnswer {
    /// By name.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Service {
    /// Name; empty where the sender gave none.
    pub name: String,
    /// Spans; resent ones count once.
    pub spans: u64,
    /// Spans with status error.
    pub errors: u64,
    /// Median duration.
    #[schema(value_type = String)]
    pub p50_ns: Ns,
    /// 95th percentile of the duration.
    #[schema(value_type = String)]
    pub p95_ns: Ns,
    /// 99th percentile of the duration.
    #[schema(value_type = String)]
    pub p99_ns: Ns,
    /// Log records.
    pub logs: u64,
    /// First span or record in the window.
    #[schema(value_type = String)]
    pub first_seen_ns: Ns,
    /// Last span or record in the window.
    #[schema(value_type = String)]
    pub last_seen_ns: Ns,
}

/// Operations of one service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OperationsAnswer {
    /// By name and kind.
    pub operations: Vec<Operation>,
}

/// One operation: a span name and kind.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Operation {
    /// Span name.
    pub name: String,
    /// Span kind: unspecified, internal, server, client, producer or consumer.
    pub kind: &'static str,
    /// Spans; resent ones count once.
    pub spans: u64,
    /// Spans with status error.
    pub errors: u64,
    /// Median duration.
    #[schema(value_type = String)]
    pub p50_ns: Ns,
    /// 95th percentile of the duration.
    #[schema(value_type = String)]
    pub p95_ns: Ns,
    /// 99th percentile of the duration.
    #[schema(value_type = String)]
    pub p99_ns: Ns,
}

/// How long an answer may be kept at most.
const KEPT_MAX: Duration = Duration::from_millis(300);
/// An answer is kept for so many times the time it took.
const KEPT_TIMES: u32 = 20;
/// Answers kept.
const ANSWERS_MAX: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    range: TimeRange,
    service: Option<String>,
    epoch: u64,
}

/// An answer and until when it is fresh.
type Kept<T> = (Arc<T>, Instant);

/// The kept answers.
pub(crate) struct Names {
    services: Cache<Key, Kept<ServicesAnswer>>,
    operations: Cache<Key, Kept<OperationsAnswer>>,
    /// Part of every key, so that an answer that is being made while it changes is not kept for later.
    epoch: AtomicU64,
}

impl Names {
    pub(crate) fn new() -> Names {
        Names { services: cache(), operations: cache(), epoch: AtomicU64::new(0) }
    }

    pub(crate) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    fn key(&self, tenant: &str, range: TimeRange, service: Option<&str>) -> Key {
        let (tenant, service) = (tenant.to_owned(), service.map(str::to_owned));
        Key { tenant, range, service, epoch: self.epoch.load(Ordering::Relaxed) }
    }
}

fn cache<T: Send + Sync + 'static>() -> Cache<Key, Kept<T>> {
    Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(KEPT_MAX).build()
}

/// The kept answer while it is fresh; else a new one, asked for once however many wait for it.
async fn kept<T, F>(cache: &Cache<Key, Kept<T>>, key: Key, make: F) -> Result<Arc<T>, ViewError>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<T, ViewError>>,
{
    if let Some((answer, until)) = cache.get(&key).await {
        if until > Instant::now() {
            return Ok(answer);
        }
        cache.invalidate(&key).await;
    }
    let fresh = async {
        let began = Instant::now();
        let answer = Arc::new(make.await?);
        let until = Instant::now() + (began.elapsed() * KEPT_TIMES).min(KEPT_MAX);
        Ok::<_, ViewError>((answer, until))
    };
    match cache.try_get_with(key, fresh).await {
        Ok((answer, _)) => Ok(answer),
        Err(error) => Err(error.again()),
    }
}

impl View {
    /// The services seen in a range, by name, with counts.
    pub async fn services(
        &self,
        tenant: &str,
        range: TimeRange,
        now_ns: i64,
    ) -> Result<Arc<ServicesAnswer>, ViewError> {
        let window = range.window(now_ns)?;
        let key = self.names.key(tenant, range, None);
        kept(&self.names.services, key, self.services_now(tenant, window)).await
    }

    /// The operations of a service seen in a range.
    pub async fn operations(
        &self,
        tenant: &str,
        range: TimeRange,
        service: &str,
        now_ns: i64,
    ) -> Result<Arc<OperationsAnswer>, ViewError> {
        let window = range.window(now_ns)?;
        let key = self.names.key(tenant, range, Some(service));
        let make = async {
            let client = self.store.client()?;
            let rows = services::operations(&ask(&client, tenant), window, service).await?;
            Ok(OperationsAnswer { operations: rows.into_iter().map(operation).collect() })
        };
        kept(&self.names.operations, key, make).await
    }

    async fn services_now(&self, tenant: &str, window: Window) -> Result<ServicesAnswer, ViewError> {
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let (spans, logs) = tokio::try_join!(services::services(&ask, window), services::services_logs(&ask, window))?;
        Ok(ServicesAnswer { services: merge(spans, logs) })
    }
}

fn merge(spans: Vec<services::ServiceRow>, logs: Vec<services::ServiceLogsRow>) -> Vec<Service> {
    let mut found: Vec<Service> = spans
        .into_iter()
        .map(|row| {
            let [p50_ns, p95_ns, p99_ns] = quantiles(&row.quantiles_ns);
            Service {
                name: row.name,
                spans: row.spans,
                errors: row.errors,
                p50_ns,
                p95_ns,
                p99_ns,
                logs: 0,
                first_seen_ns: row.first_ns.into(),
                last_seen_ns: row.last_ns.into(),
            }
        })
        .collect();
    for row in logs {
        let (first_ns, last_ns) = (Ns::from(row.first_ns), Ns::from(row.last_ns));
        match found.binary_search_by(|service| service.name.as_str().cmp(&row.name)) {
            Ok(at) => {
                let service = &mut found[at];
                service.logs = row.logs;
                service.first_seen_ns = service.first_seen_ns.min(first_ns);
                service.last_seen_ns = service.last_seen_ns.max(last_ns);
            }
            Err(at) => {
                let zero = Ns(0);
                let service = Service {
                    name: row.name,
                    spans: 0,
                    errors: 0,
                    p50_ns: zero,
                    p95_ns: zero,
                    p99_ns: zero,
                    logs: row.logs,
                    first_seen_ns: first_ns,
                    last_seen_ns: last_ns,
                };
                found.insert(at, service);
            }
        }
    }
    found
}

fn operation(row: services::OperationRow) -> Operation {
    let [p50_ns, p95_ns, p99_ns] = quantiles(&row.quantiles_ns);
    let kind = KINDS[usize::from(number_of(&model::kind::SPAN_KINDS, &row.kind))];
    Operation { name: row.name, kind, spans: row.spans, errors: row.errors, p50_ns, p95_ns, p99_ns }
}

fn quantiles(found: &[u64]) -> [Ns; 3] {
    std::array::from_fn(|at| found.get(at).copied().unwrap_or(0).into())
}
