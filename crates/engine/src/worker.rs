//! The thread that runs requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;

use crate::{Client, Engine, Error, Load, Request, Scheduler};

/// Runs requests on a thread of its own; dropping it finishes those that it has.
pub struct Worker {
    engine: Arc<Engine>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    most_waiting: usize,
    n_ctx: usize,
    description: String,
}

/// Requests that do not run yet.
#[derive(Default)]
struct Waiting {
    /// On their way to the thread.
    sent: AtomicUsize,
    /// In the scheduler's queue.
    queued: AtomicUsize,
}

enum Order {
    Submit(Box<Request>, Box<dyn Client>),
    Inspect(Sender<Load>),
}

impl Worker {
    /// Makes memory for requests to `engine`; at most `most_waiting` of them wait.
    pub fn start(engine: Arc<Engine>, most_waiting: usize) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let n_ctx = engine.n_ctx()?;
        let waiting = Arc::new(Waiting::default());
        let (of_worker, shared) = (engine.clone(), waiting.clone());
        let run = move || match Scheduler::new(of_worker) {
            Ok(scheduler) => {
                let _ = ready.send(Ok(scheduler.describe_backend()));
                work(scheduler, &inbox, &shared);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("engine".into()).spawn(run);
        let thread = thread.map_err(Error::Thread)?;
        let description = is_ready.recv().map_err(|_| Error::Stopped)??;
        let (orders, thread) = (Some(orders), Some(thread));
        Ok(Self { engine, orders, thread, waiting, most_waiting, n_ctx, description })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Positions that a text may have.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Texts that it works on at once.
    pub fn parallel(&self) -> usize {
        self.engine.options.parallel
    }

    /// The backend's description of itself.
    pub fn backend(&self) -> &str {
        &self.description
    }

    /// Hands a request over; its events go to `client`, from another thread.
    ///
    /// # Errors
    /// [`Error::Busy`] where too many wait, [`Error::Stopped`] where the thread has ended.
    pub fn submit(&self, request: Request, client: Box<dyn Client>) -> Result<(), Error> {
        let Waiting { sent, queued } = &*self.waiting;
        let waiting = sent.load(Ordering::Relaxed) + queued.load(Ordering::Relaxed);
        if waiting >= self.most_waiting {
            return Err(Error::Busy { waiting });
        }
        sent.fetch_add(1, Ordering::Relaxed);
        self.send(Order::Submit(Box::new(request), client))
    }

    /// What there is to do, once the step that runs is over.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the thread has ended.
    pub fn load(&self) -> Result<Load, Error> {
        let (reply, load) = mpsc::channel();
        self.send(Order::Inspect(reply))?;
        load.recv().map_err(|_| Error::Stopped)
    }

    fn send(&self, order: Order) -> Result<(), Error> {
        let orders = self.orders.as_ref().ok_or(Error::Stopped)?;
        orders.send(order).map_err(|_| Error::Stopped)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs requests until there will be no more of them.
fn work(mut scheduler: Scheduler, inbox: &Receiver<Order>, waiting: &Waiting) {
    let mut is_open = true;
    loop {
        while is_open {
            let is_idle = scheduler.load() == Load::default();
            let order = match is_idle {
                true => inbox.recv().map_err(|_| TryRecvError::Disconnected),
                false => inbox.try_recv(),
            };
            match order {
                Ok(Order::Submit(request, client)) => {
                    waiting.sent.fetch_sub(1, Ordering::Relaxed);
                    scheduler.submit(*request, client);
                }
                Ok(Order::Inspect(reply)) => {
                    let _ = reply.send(scheduler.load());
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => is_open = false,
            }
        }
        let worked = scheduler.step();
        waiting.queued.store(scheduler.load().waiting, Ordering::Relaxed);
        if !worked && !is_open {
            return;
        }
    }
}
