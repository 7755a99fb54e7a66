//! A PostgreSQL server of our own for control C3: files in a folder of its own, a unix socket there, no port.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;

use super::eventually;
use crate::running::{self, Running, User};

/// Settings beside those of initdb: no port, and enough room that the working set is in memory and checkpoints are far apart.
/// `fsync`, `synchronous_commit` and autovacuum are on, as they are by default.
pub const SETTINGS: [&str; 4] =
    ["listen_addresses=", "shared_buffers=256MB", "max_wal_size=2GB", "checkpoint_timeout=15min"];
const ROLE: &str = "bench";

/// The index covers the sum, so that PostgreSQL reads only the index.
const SCHEMA: &str = "
    CREATE TABLE products (id bigint PRIMARY KEY, stock bigint NOT NULL);
    CREATE TABLE holds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product_id bigint NOT NULL REFERENCES products,
        quantity bigint NOT NULL, expires_at timestamptz NOT NULL);
    CREATE INDEX active_holds ON holds (product_id, expires_at) INCLUDE (quantity);";

/// The files of a database, made once for all servers on them.
pub struct Cluster {
    programs: PathBuf,
    user: Option<User>,
    folder: TempDir,
    version: String,
}

pub struct Postgres {
    running: Running,
    folder: PathBuf,
}

impl Cluster {
    /// Makes the files; `None` if PostgreSQL is not installed.
    ///
    /// # Errors
    /// When it is installed and does not work.
    pub fn make() -> io::Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = TempDir::with_prefix("fs-bench-pg")?;
        let user = unprivileged()?;
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let version = running::output(running::command(programs.join("postgres"), user).arg("--version"))?;
        let version = version.split_whitespace().nth(2).unwrap_or("").to_owned();
        let cluster = Self { programs, user, folder, version };
        let mut initdb = running::command(cluster.programs.join("initdb"), user);
        initdb.current_dir(cluster.folder.path()).arg("--pgdata").arg(cluster.files());
        // Everything goes to disk now, so that the first commits do not wait for these files.
        running::output(initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", ROLE]))?;
        Ok(Some(cluster))
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// A server with these products and no holds.
    pub fn start(&self, products: u64, units: u64) -> io::Result<Postgres> {
        let mut command = running::command(self.programs.join("postgres"), self.user);
        command.current_dir(self.folder.path()).arg("-D").arg(self.files()).arg("-k").arg(self.folder.path());
        SETTINGS.iter().for_each(|setting| _ = command.args(["-c", setting]));
        let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let postgres = Postgres { running, folder: self.folder.path().to_owned() };
        eventually("PostgreSQL answers", || postgres.running.is_alive(), || postgres.execute("SELECT 1").is_ok())?;
        postgres.execute("DROP TABLE IF EXISTS holds, products")?;
        postgres.execute(SCHEMA)?;
        postgres
            .execute(&format!("INSERT INTO products SELECT id, {units} FROM generate_series(1, {products}) AS id"))?;
        postgres.execute("VACUUM ANALYZE")?;
        postgres.execute("CHECKPOINT")?;
        Ok(postgres)
    }
}

impl Postgres {
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The address in the client's form.
    pub fn url(&self) -> String {
        format!("host={} user={ROLE} dbname=postgres", self.folder.display())
    }

    fn execute(&self, sql: &str) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let connected = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await;
            let (client, connection) = connected.map_err(io::Error::other)?;
            let driving = tokio::spawn(connection);
            let done = client.batch_execute(sql).await.map_err(io::Error::other);
            driving.abort();
            done
        })
    }
}

impl Drop for Postgres {
    /// Stops the server in its own way: it ends its processes, and the next server has nothing to recover.
    fn drop(&mut self) {
        self.running.end_by("INT");
    }
}

/// The folder of initdb and postgres: in PATH, or where Debian puts them, the newest first.
fn programs() -> Option<PathBuf> {
    let in_path = running::find("initdb").and_then(|file| file.canonicalize().ok()?.parent().map(Path::to_owned));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut packaged: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    packaged.sort();
    in_path
        .into_iter()
        .chain(packaged.into_iter().rev())
        .find(|folder| ["initdb", "postgres"].iter().all(|program| folder.join(program).exists()))
}

/// The user to run as: PostgreSQL refuses root, so it runs as the user of its package, or as nobody.
fn unprivileged() -> io::Result<Option<User>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    if running::find("setpriv").is_none() {
        return Err(io::Error::other("PostgreSQL does not run as root, and there is no setpriv to change the user"));
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let user = |name: &str| {
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
        Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    found.map(Some).ok_or_else(|| io::Error::other("there is no user postgres or nobody to run PostgreSQL as"))
}
