//! Threads for calls that block inside the engine, in lanes that cannot starve each other.
//!
//! Inserts, our own queries and the outside reader each have their own threads, so that slow
//! outside SQL never keeps an insert waiting for a thread. A lane bounds both what runs and what
//! waits; beyond that the caller is told to come back. Knows nothing of SQL (design section 4).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Job = Box<dyn FnOnce() + Send>;

/// ClickHouse's parser recurses and measures the stack it runs on.
const STACK_BYTES: usize = 8 << 20;

/// A fixed number of threads and a bounded waiting line.
pub(crate) struct Lane {
    name: &'static str,
    jobs: mpsc::Sender<Job>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    threads: usize,
}

/// The lane's waiting line is full.
#[derive(Debug, thiserror::Error)]
#[error("too many simultaneous queries: the {lane} lane runs its maximum and {waiting} wait")]
pub(crate) struct LaneFull {
    /// Which lane.
    pub lane: &'static str,
    /// How many wait already.
    pub waiting: usize,
}

/// The right to run one job now.
pub(crate) struct Place {
    permit: OwnedSemaphorePermit,
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// Starts `threads` threads; at most `waiting_max` callers wait for one.
    pub(crate) fn start(name: &'static str, threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || run_jobs(&queue))?;
        }
        let permits = Arc::new(Semaphore::new(threads));
        Ok(Self { name, jobs, permits, waiting: AtomicUsize::new(0), waiting_max, threads })
    }

    /// Waits for a free thread, first come first served. Dropping the future gives up the place.
    pub(crate) async fn place(&self) -> Result<Place, LaneFull> {
        let _waiting = self.wait_in_line()?;
        let permit = self.permits.clone().acquire_owned().await;
        let Ok(permit) = permit else {
            return Err(LaneFull { lane: self.name, waiting: 0 });
        };
        Ok(Place { permit, jobs: self.jobs.clone() })
    }

    /// Whether nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.permits.available_permits() == self.threads
    }

    fn wait_in_line(&self) -> Result<InLine<'_>, LaneFull> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let line = InLine(&self.waiting);
        if waiting >= self.waiting_max && self.permits.available_permits() == 0 {
            return Err(LaneFull { lane: self.name, waiting });
        }
        Ok(line)
    }
}

impl Place {
    /// Runs the job on the lane's thread; the place is free again when it ends.
    pub(crate) fn run(self, job: impl FnOnce() + Send + 'static) {
        let permit = self.permit;
        let job: Job = Box::new(move || {
            job();
            drop(permit);
        });
        // The threads end only with the process, so the queue is always open.
        let _ = self.jobs.send(job);
    }
}

struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run_jobs(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(poisoned) => poisoned.into_inner().recv(),
        };
        let Ok(job) = job else { return };
        // A panic in one request must not cost the lane a thread.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a request panicked on its engine thread");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: one thread is busy, one caller waits, a third comes; a job panics.
    // Guarantee: the third is refused at once; the panic frees the thread for the next job.
    #[tokio::test]
    async fn bounds_the_line_and_survives_panics() {
        let lane = Arc::new(Lane::start("test", 1, 1).unwrap());
        let (release, blocked) = mpsc::channel::<()>();
        lane.place().await.unwrap().run(move || {
            let _ = blocked.recv();
            panic!("expected by the test");
        });
        let second = tokio::spawn({
            let lane = lane.clone();
            async move { lane.place().await.map(|place| place.run(|| {})) }
        });
        while lane.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(lane.place().await.is_err());
        release.send(()).unwrap();
        second.await.unwrap().unwrap();
        let (done, finished) = tokio::sync::oneshot::channel();
        lane.place().await.unwrap().run(move || {
            let _ = done.send(7);
        });
        assert_eq!(finished.await.unwrap(), 7);
    }
}
