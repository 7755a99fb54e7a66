//! One command on a connection, and the script that it may need first.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};

use super::catalogue::Script;

/// A script is loaded for a call so many times at most.
const LOADS_MAX: u32 = 5;

/// The answer to a command, and whether the command was sent.
///
/// The task that drives a connection ends when the server closes it, and a connection without that task fails at once. That task
/// belongs to this thread, so it cannot run, and send something, before the first wait for the answer.
pub async fn query(
    command: &Cmd,
    is_asking: bool,
    connection: &mut MultiplexedConnection,
) -> (Result<Value, RedisError>, bool) {
    if is_asking {
        return (Box::pin(send_asking(command, connection)).await, true);
    }
    let mut asking = pin!(command.query_async(connection));
    let mut has_waited = false;
    let answer = poll_fn(|context| {
        let answer = asking.as_mut().poll(context);
        has_waited |= answer.is_pending();
        answer
    });
    let answer = answer.await;
    (answer, has_waited)
}

/// The server that a slot moves to takes a command only right behind ASKING.
async fn send_asking(command: &Cmd, connection: &mut MultiplexedConnection) -> Result<Value, RedisError> {
    let mut both = redis::pipe();
    both.cmd("ASKING").ignore().add_command(command.clone());
    both.query_async::<(Value,)>(connection).await.map(|(answer,)| answer)
}

/// The answer to a call whose script the server did not have.
///
/// # Errors
/// [`RedisError`].
pub async fn load_and_send(
    script: &Script,
    command: &Cmd,
    is_asking: bool,
    connection: &mut MultiplexedConnection,
) -> Result<Value, RedisError> {
    let mut loads = 0;
    loop {
        let _sha: Value = redis::cmd("SCRIPT").arg("LOAD").arg(&script.source).query_async(connection).await?;
        loads += 1;
        let answer = query(command, is_asking, connection).await.0;
        // Somebody may flush the scripts between the two.
        if loads == LOADS_MAX || !is_script_missing(&answer) {
            return answer;
        }
    }
}

pub fn is_script_missing(answer: &Result<Value, RedisError>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}
