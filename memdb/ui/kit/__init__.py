"""What every page family uses: state, cached reads, targets, safety, parts of pages, jobs, charts."""
