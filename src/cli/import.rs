//! `flashsale import`: sends a file of products chunk by chunk, and reports what became of each row.

use std::{io, path::PathBuf};

use clap::Args;
use encoding_rs::Encoding;

use super::{
    CommonArgs,
    arguments::{ReasonArgs, filled},
    exit::Exit,
    export::FileFormat,
    import_columns::{ColumnMap, TableChoices},
    import_file::{Chunk, ImportFile},
    import_preset::Preset,
    import_report::{ImportReport, ReportForm, Unsettled},
    import_table::TableError,
    print::print_line,
    progress::{Counting, Progress},
    service::{CommandError, ServiceArgs, brief},
    source::Source,
};
use crate::tools::client::{
    CallPath,
    api::{ApiCall, ApiClient, CallError},
};

const PATH: &str = "/api/admin/import";
const GO_ON: &str = "To continue, send the same file again: rows with existing ids or SKUs count as already there. Rows without either \
                     that were created would be created once more.";

const EXAMPLES: &str = "\
Examples:
  flashsale import products.csv --dry-run                what would be done
  flashsale import products.csv
  flashsale import products.ndjson
  flashsale import - --format csv < products.csv
  flashsale import products.csv --map name=Titel --map price=Preis --map total_stock=Bestand
  flashsale import products_export.csv --preset shopify --sale drop-1 --currency EUR
  flashsale import products.csv --update                 other names, prices and limits
  flashsale import products.csv --json | jq -c '.rows[] | select(.status == \"failed\")'

The first row of a table names the columns, in any order. An empty cell counts as missing:

  id,sale,name,price,currency,total_stock,max_per_hold,max_per_customer,group,visibility
  1,drop-1,\"Sneaker, 42\",120.00,USD,500,2,2,sneaker,
  2,drop-1,Poster,15.00,USD,80,,,,

name, price and total_stock are required. Lines of NDJSON are the bodies of POST
/api/admin/products.

What Excel, Numbers, LibreOffice and pandas write is read: commas, semicolons or tabs, UTF-8 or
UTF-16, rows of commas alone, a line sep=; and 12,50 for 12.50. What could mean two things, such
as 1.000, fails with a word on how to write it. A CSV that is not UTF-8 needs --encoding, such as
windows-1252.

With --map or --preset, columns that are not known are left out and listed. --preset shopify makes
a product of each variant, named title / option, with an id made of its handle and options: the
same variant has the same id in the next export. --preset woocommerce takes the shop's ids, regular
prices, and variations.

A sale that does not exist is created with its first product, with the default terms, and is
live at once: if you mistype one, buyers can get the product. The report ends with the sales
that were new. To be safe, create the sale first, paused: flashsale sale create drop-1 --paused.

A bad row is reported with its number and field, and stops no other. Rows count from 1, without
the header and empty lines; for NDJSON the number is that of the line. Give ids or SKUs: then you can
send the same file again. An existing product counts as already there and is left unchanged,
unless --update makes it like its row. Its stock stays in any case: flashsale product restock.
The report keeps apart what is wrong, what differs, and stock that differs alone. Every row is in
one count: created, changed, already there, failed, unknown (its answer was lost) or not tried.
--json has the counts, the new sales and all rows.

Exit status: 0 all products are there (perhaps with another stock, which changes as they sell);
1 a row failed or differs from the existing product, or the service refused the file; 2 the
import did not reach the end of the file.";

/// A file of products, and its format
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// Products as CSV or NDJSON; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file [default: by its ending: .csv, .tsv, .ndjson or .jsonl]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// A column of the file for one of ours, such as name=Title; once for each
    #[arg(long, value_name = "OURS=THEIRS")]
    map: Vec<ColumnMap>,
    /// The shop that exported the file
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Sale of the rows that name none
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Currency of the rows that name none, an ISO 4217 code [default: USD]
    #[arg(long, value_name = "CODE", value_parser = filled)]
    currency: Option<String>,
    /// Encoding of a table, such as windows-1252 or macintosh [default: UTF-8, or UTF-16 where it is that]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// Change name, price and limits of existing products, never their stock
    #[arg(long)]
    update: bool,
    /// Report what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

impl ImportArgs {
    fn form(&self) -> ReportForm {
        ReportForm { is_json: self.service.json, is_dry_run: self.dry_run, is_update: self.update }
    }

    fn choices(&self) -> TableChoices {
        TableChoices {
            maps: self.map.clone(),
            preset: self.preset,
            sale: self.sale.clone(),
            currency: self.currency.clone(),
            encoding: self.encoding,
        }
    }

    fn call(&self, media_type: &'static str, body: Vec<u8>) -> ApiCall {
        let path = CallPath::of(PATH).with("update", self.update).with("dry_run", self.dry_run);
        let call = ApiCall::upload(self.reason.on(path), media_type, body);
        if self.dry_run { call.without_effect() } else { call }
    }

    fn format(&self) -> Option<FileFormat> {
        let is_tabbed = self.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tsv"));
        let by_ending = || FileFormat::of_ending(&self.file).or(is_tabbed.then_some(FileFormat::Csv));
        self.format.or_else(by_ending)
    }
}

pub(super) fn encoding(label: &str) -> Result<&'static Encoding, String> {
    let unknown = || "there is no such encoding; windows-1252 is what Excel writes in Western Europe".to_owned();
    Encoding::for_label(label.as_bytes()).ok_or_else(unknown)
}

pub(super) fn run(common: &CommonArgs, args: &ImportArgs) -> Exit {
    args.service.run(common, async |client| import(client, args).await)
}

async fn import(client: &mut ApiClient, args: &ImportArgs) -> Result<Exit, CommandError> {
    let source = Source(&args.file);
    let name = source.name();
    let not_done = CommandError::NotDone;
    let format = args
        .format()
        .ok_or_else(|| not_done(format!("the format of {name} is unknown. Say --format csv or --format ndjson")))?;
    let unreadable = |error: io::Error| not_done(source.unreadable(&error));
    let mut progress = Progress::begin(Counting::Bytes(source.bytes()));
    let bytes = progress.reading(source.open().map_err(unreadable)?);
    let opened = ImportFile::open(Box::new(bytes), format, &args.choices());
    let mut file = opened.map_err(|error| match error {
        TableError::Source(error) => unreadable(error),
        TableError::Form(what) => not_done(format!("{name}: {what}")),
    })?;
    let mut report = ImportReport::new(args.form());
    let mut stopped = None;
    loop {
        match file.next() {
            Ok(None) => break,
            Err(error) => {
                stopped = stopped.or(Some(format!("{name} cannot be read to its end: {error}")));
                break;
            }
            // Read to its end all the same, so that every row is accounted for.
            Ok(Some(chunk)) if stopped.is_some() => report.add_unsettled(&chunk.rows, Unsettled::NotTried),
            Ok(Some(chunk)) => match send(client, args, format, chunk, &mut report).await {
                Ok(()) => {}
                // The service refused the file, or cannot be reached: there is nothing to report about rows.
                Err(error) if report.is_empty() => return Err(with_column_names(error, &file).into()),
                Err(error) => stopped = Some(brief(&error)),
            },
        }
        progress.say(report.counts());
    }
    progress.end();
    report.leave_out(file.skipped(), file.left_out());
    print_line(&if args.service.json { report.json() } else { report.text() });
    match stopped {
        Some(why) if args.dry_run => Err(not_done(why)),
        Some(why) => Err(not_done(format!("{why}\n  {GO_ON}"))),
        None => Ok(if report.is_good() { Exit::Done } else { Exit::No }),
    }
}

/// Sends one chunk, and adds its rows to the report.
///
/// # Errors
/// When nothing more can be sent. The report has what is known of the rows all the same, unless nothing was done.
async fn send(
    client: &mut ApiClient,
    args: &ImportArgs,
    format: FileFormat,
    chunk: Chunk,
    report: &mut ImportReport,
) -> Result<(), CallError> {
    let media_type = match format {
        FileFormat::Csv => "text/csv",
        FileFormat::Ndjson => "application/x-ndjson",
    };
    let Chunk { body, rows } = chunk;
    let sent = match client.send(args.call(media_type, body)).await {
        Ok(reply) => reply.json().and_then(|answer| report.add(&rows, &answer)),
        Err(CallError::Refused(refusal)) if refusal.problem["rows"].is_array() => {
            report.add(&rows, &refusal.problem).and(Err(CallError::Refused(refusal)))
        }
        Err(error) => Err(error),
    };
    match &sent {
        Ok(()) => {}
        // The rows may be done.
        Err(CallError::Transport(error)) if error.may_have_effect() && !args.dry_run => {
            report.add_unsettled(&rows, Unsettled::Unknown);
        }
        Err(CallError::Unreadable) if !args.dry_run => report.add_unsettled(&rows, Unsettled::Unknown),
        // The answer reports row by row.
        Err(CallError::Refused(refusal)) if refusal.problem["rows"].is_array() => {}
        // Refused as a whole, or never sent. Before the first answer that is about the file, and about no row of it.
        Err(_) if report.is_empty() => {}
        Err(_) => report.add_unsettled(&rows, Unsettled::NotTried),
    }
    sent
}

/// The service repeats nothing of what it was sent, so it names columns by their number. Here their names are known.
fn with_column_names(mut error: CallError, file: &ImportFile) -> CallError {
    if let CallError::Refused(refusal) = &mut error {
        for (pointer, detail) in &mut refusal.fields {
            let number = pointer.strip_prefix("/columns/").and_then(|number| number.parse().ok());
            if let Some((number, name)) = number.and_then(|number| Some((number, file.column(number)?))) {
                let column = format!("column {number}");
                *detail = detail.replacen(&column, &format!("{column} ({name})"), 1);
                pointer.clear();
            }
        }
    }
    error
}
