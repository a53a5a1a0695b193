//! The path that a request takes through every door: admit, unpack, hand over, account. The protocols
//! differ only in how they frame bodies and word answers.

use std::sync::Arc;
use std::time::Instant;

use access::{Access, Permit, Purpose};
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use model::{Envelope, Protocol, Reason, Signal};
use tokio::time::timeout;
use wire::encoding::Encoding;

use crate::fault::Fault;
use crate::intake::{Arrival, Intake, Receipt};
use crate::metrics::{DoorName, Metrics};
use crate::{Config, sender, unpack};

/// What the handlers of one port share.
pub(crate) struct Door<I> {
    pub(crate) intake: Arc<I>,
    pub(crate) config: Config,
    access: Arc<Access>,
    metrics: Metrics,
    name: DoorName,
}

/// One request on its way through a door. It is counted once, at the latest when dropped.
pub(crate) struct Visit<'a, I: Intake> {
    door: &'a Door<I>,
    signal: Signal,
    envelope: Envelope,
    wait_stored: bool,
    started: Instant,
    handed_over: bool,
    code: &'static str,
}

impl<I: Intake> Door<I> {
    /// A door with settings and counters of its own.
    pub(crate) fn new(
        intake: Arc<I>,
        access: Arc<Access>,
        config: &Config,
        metrics: &Metrics,
        name: DoorName,
    ) -> Door<I> {
        Door { intake, access, config: config.clone(), metrics: metrics.clone(), name }
    }

    /// A request for `signal` begins.
    pub(crate) fn open(&self, signal: Signal, parts: &Parts) -> Visit<'_, I> {
        self.metrics.opened(self.name);
        let envelope =
            Envelope { tenant: Arc::from(""), received_ns: self.intake.now_ns(), sender: sender::describe(parts) };
        Visit {
            door: self,
            signal,
            envelope,
            wait_stored: false,
            started: Instant::now(),
            handed_over: false,
            code: "cancelled",
        }
    }
}

impl<I: Intake> Visit<'_, I> {
    /// Lets the sender in, or not. Before this nothing else may be told about the request.
    pub(crate) fn admit(&mut self, parts: &Parts) -> Result<(), Fault> {
        self.envelope.tenant = self.door.access.admit(&parts.headers, Purpose::Write)?.tenant;
        self.wait_stored = sender::waits_for_storing(parts)?;
        Ok(())
    }

    /// Unpacks the body and gives it to the intake.
    pub(crate) async fn hand_over(
        &mut self,
        protocol: Protocol,
        encoding: Encoding,
        body: Bytes,
        permit: Permit,
    ) -> Result<Receipt, Fault> {
        let limits = &self.door.config.limits;
        let (plain, permit) = unpack::unpack(encoding, &body, limits.body_bytes_max, permit).await?;
        self.door.metrics.bytes(self.door.name, body.len(), plain.len());
        let envelope = self.envelope.clone();
        let arrival = Arrival { protocol, encoding, body, plain, envelope, permit, wait_stored: self.wait_stored };
        self.handed_over = true;
        match timeout(limits.answer_timeout, self.door.intake.accept(arrival)).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Fault::late(limits.answer_timeout)),
        }
    }

    /// Counts the outcome. What was refused before the intake saw it goes into the loss ledger, and
    /// what the intake could not decode.
    pub(crate) fn close(mut self, outcome: &Result<Receipt, Fault>) {
        let metrics = &self.door.metrics;
        match outcome {
            Ok(receipt) => {
                self.code = "ok";
                metrics.answered(self.door.name, self.started.elapsed().as_secs_f64());
                if receipt.repeated {
                    metrics.repeat(self.signal);
                } else {
                    metrics.items(self.door.name, receipt.items, &receipt.account);
                }
            }
            Err(fault) => {
                self.code = fault.name();
                if let Some(reason) = fault.reason()
                    && (!self.handed_over || reason == Reason::Undecodable)
                {
                    self.door.intake.note(&self.envelope, self.signal, reason, 0, fault.message());
                }
            }
        }
    }
}

impl<I: Intake> Drop for Visit<'_, I> {
    fn drop(&mut self) {
        self.door.metrics.closed(self.door.name, self.signal, self.code);
    }
}

/// The one content encoding of a request. Lists and repeated headers are refused: bombs love them.
pub(crate) fn encoding(headers: &HeaderMap, header: &str) -> Result<Encoding, Fault> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(Encoding::Identity) };
    let text = String::from_utf8_lossy(value.as_bytes());
    match Encoding::from_header(&text) {
        Some(encoding) if values.next().is_none() => Ok(encoding),
        _ => Err(Fault::Encoding(text.chars().take(64).collect())),
    }
}
