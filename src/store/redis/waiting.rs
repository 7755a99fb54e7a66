//! The wait for durability, shared: all whose calls one connection has answered wait for the same answer of the server, so one
//! fsync serves them all, of whichever sale they are.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::{sync::oneshot, task::spawn_local};

type Answer = Result<Value, RedisError>;

/// The waits of one connection. A server that is waiting reads nothing else from that connection, so there is one at a time.
#[derive(Default)]
pub struct SharedWait {
    joined: RefCell<Vec<oneshot::Sender<Answer>>>,
    is_waiting: Cell<bool>,
}

impl SharedWait {
    /// Waits for an answer to the command that is sent after this. `see` is shown each answer once.
    ///
    /// # Errors
    /// [`RedisError`].
    pub async fn join(
        this: &Rc<Self>,
        command: Cmd,
        connection: &MultiplexedConnection,
        see: impl Fn(&Answer) + 'static,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        this.joined.borrow_mut().push(answer);
        if !this.is_waiting.replace(true) {
            // Begins after those have joined whose answers came together with that of this caller.
            spawn_local(Waiting(Rc::clone(this)).serve(command, connection.clone(), see));
        }
        answered.await.unwrap_or_else(|_| Err((redis::ErrorKind::Io, "a wait was dropped").into()))
    }
}

/// The task that waits, as long as somebody joins.
struct Waiting(Rc<SharedWait>);

impl Waiting {
    async fn serve(self, command: Cmd, mut connection: MultiplexedConnection, see: impl Fn(&Answer)) {
        loop {
            let joined = self.0.joined.take();
            if joined.is_empty() {
                return;
            }
            let answer = command.query_async(&mut connection).await;
            see(&answer);
            for caller in joined {
                // The caller may have gone.
                let _gone = caller.send(answer.clone());
            }
        }
    }
}

/// However it ends, the next caller begins another one.
impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_waiting.set(false);
    }
}
