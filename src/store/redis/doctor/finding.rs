//! Findings: what was looked at, what it is, and what to do about it.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// Nothing is wrong, but it is worth knowing.
    Note,
    /// Weaker than it could be.
    Warning,
    /// The service does not work, or loses something.
    Problem,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// The server that it is about, or another place.
    pub place: String,
    pub subject: &'static str,
    pub found: String,
    /// What to do. Empty where nothing is to be done.
    pub advice: String,
}

/// The findings about one place.
#[derive(Debug)]
pub struct Chart {
    place: String,
    findings: Vec<Finding>,
}

impl Chart {
    pub fn of(place: impl Into<String>) -> Self {
        Self { place: place.into(), findings: Vec::new() }
    }

    pub fn ok(&mut self, subject: &'static str, found: impl Into<String>) {
        self.add(Level::Ok, subject, found, "");
    }

    pub fn note(&mut self, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Note, subject, found, advice);
    }

    pub fn warning(&mut self, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, subject, found, advice);
    }

    pub fn problem(&mut self, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Problem, subject, found, advice);
    }

    pub fn add(&mut self, level: Level, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        let place = self.place.clone();
        self.findings.push(Finding { level, place, subject, found: found.into(), advice: advice.into() });
    }

    pub fn findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// For the tests of the judges.
#[cfg(test)]
impl Chart {
    /// The findings about a subject, as levels and texts.
    pub fn about(&self, subject: &str) -> Vec<(Level, String)> {
        let about = self.findings.iter().filter(|finding| finding.subject == subject);
        about.map(|finding| (finding.level, format!("{}: {}", finding.found, finding.advice))).collect()
    }

    /// The only finding about a subject is of this level and has this text in it.
    pub fn has(&self, subject: &str, level: Level, text: &str) {
        let about = self.about(subject);
        assert!(matches!(&about[..], [(of, found)] if *of == level && found.contains(text)), "{text} in {about:?}");
        let [(_, found)] = &about[..] else { return };
        let has_advice = !found.ends_with(": ");
        assert!(level < Level::Warning || has_advice, "nobody learns what to do about {found}");
    }
}
