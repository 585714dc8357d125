//! Counts in the database how often the results of each job were published. What the services tell is not asked.

use super::Cluster;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// Notes each change of a job that completes it, in the transaction of that change.
const NOTES: &str = "
    CREATE TABLE public.publications (job text NOT NULL);
    CREATE FUNCTION public.note_publication() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO public.publications VALUES (NEW.id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER publications AFTER UPDATE ON bodyscript.jobs
        FOR EACH ROW WHEN (NEW.state = 'completed') EXECUTE FUNCTION public.note_publication();";

impl Cluster {
    /// Counts publications from now on.
    pub fn note_publications(&self) -> Result<()> {
        self.query(NOTES).map(drop)
    }

    /// How often each job was published.
    pub fn publications(&self) -> Result<BTreeMap<String, u32>> {
        let rows = self.query("SELECT job, count(*) FROM public.publications GROUP BY job")?;
        let read = |row: &str| {
            let (job, count) = row.split_once('|').context("two columns")?;
            Ok((job.to_owned(), count.parse()?))
        };
        rows.lines().map(read).collect()
    }
}
