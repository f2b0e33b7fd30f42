//! The thread that runs requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Client, Engine, Error, Load, Metrics, Request, Scheduler, Texts};

/// How often room is looked for to write to disk.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs requests on a thread of its own; dropping it finishes those that it has.
pub struct Worker {
    engine: Arc<Engine>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    most_waiting: usize,
    description: String,
}

/// Requests that do not run yet.
#[derive(Default)]
struct Waiting {
    /// On their way to the thread.
    sent: AtomicUsize,
    /// In the scheduler's queue.
    queued: AtomicUsize,
    /// In the scheduler, at work.
    running: AtomicUsize,
}

impl Waiting {
    fn set(&self, load: Load) {
        self.queued.store(load.waiting + load.embedding, Ordering::SeqCst);
        self.running.store(load.running, Ordering::SeqCst);
    }
}

enum Order {
    Submit(Box<Request>, Box<dyn Client>),
    Embed(Texts, Box<dyn Client>),
    Do(Box<dyn FnOnce(&mut Scheduler) + Send>),
}

impl Worker {
    /// Makes memory for requests to `engine`; at most `most_waiting` of them wait.
    pub fn start(engine: Arc<Engine>, most_waiting: usize) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
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
        Ok(Self { engine, orders, thread, waiting, most_waiting, description })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Positions that a text may have.
    pub fn n_ctx(&self) -> usize {
        self.engine.plan().n_ctx
    }

    /// Texts that it works on at once.
    pub fn parallel(&self) -> usize {
        self.engine.plan().n_sequences
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
        self.enqueue(Order::Submit(Box::new(request), client))
    }

    /// Asks for the vectors of texts, or scores; they go to `client`.
    ///
    /// # Errors
    /// As [`Worker::submit`].
    pub fn embed(&self, texts: Texts, client: Box<dyn Client>) -> Result<(), Error> {
        self.enqueue(Order::Embed(texts, client))
    }

    fn enqueue(&self, order: Order) -> Result<(), Error> {
        let Waiting { sent, queued, .. } = &*self.waiting;
        let waiting = sent.load(Ordering::SeqCst) + queued.load(Ordering::SeqCst);
        if waiting >= self.most_waiting {
            return Err(Error::Busy { waiting });
        }
        sent.fetch_add(1, Ordering::SeqCst);
        self.send(order)
    }

    /// Whether it has no requests.
    pub fn is_idle(&self) -> bool {
        let Waiting { sent, queued, running } = &*self.waiting;
        // In the order in which requests pass.
        [sent, queued, running].iter().all(|n| n.load(Ordering::SeqCst) == 0)
    }

    /// What there is to do, once the step that runs is over.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the thread has ended.
    pub fn load(&self) -> Result<Load, Error> {
        self.ask(|scheduler| scheduler.load())
    }

    /// What was done so far and what is there, once the step that runs is over.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the thread has ended.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.ask(|scheduler| scheduler.metrics())
    }

    /// Has the thread do something between two steps.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Scheduler) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = mpsc::channel();
        let order = move |scheduler: &mut Scheduler| {
            // Nobody may wait any more.
            let _ = reply.send(order(scheduler));
        };
        self.send(Order::Do(Box::new(order)))?;
        answer.recv().map_err(|_| Error::Stopped)
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
                true => wait(&mut scheduler, inbox),
                false => inbox.try_recv(),
            };
            match order {
                Ok(Order::Submit(request, client)) => {
                    scheduler.submit(*request, client);
                    waiting.set(scheduler.load());
                    waiting.sent.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(Order::Embed(texts, client)) => {
                    scheduler.embed(texts, client);
                    waiting.set(scheduler.load());
                    waiting.sent.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(Order::Do(order)) => order(&mut scheduler),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => is_open = false,
            }
        }
        let worked = scheduler.step();
        waiting.set(scheduler.load());
        if !worked && !is_open {
            break;
        }
    }
    while scheduler.write_some() {
        std::thread::sleep(PAUSE);
    }
}

/// The next order; meanwhile what is to be written to disk goes there.
fn wait(scheduler: &mut Scheduler, inbox: &Receiver<Order>) -> Result<Order, TryRecvError> {
    while scheduler.write_some() {
        match inbox.recv_timeout(PAUSE) {
            Ok(order) => return Ok(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(TryRecvError::Disconnected),
        }
    }
    inbox.recv().map_err(|_| TryRecvError::Disconnected)
}
