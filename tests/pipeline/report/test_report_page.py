"""The page and results.json of a synthetic run, read as text."""
from pipeline.report.page import write_report


def test_x(make_run, options, config, variants):
    import shutil
    run = make_run()
    write_report(run, options, config, variants=variants)
    shutil.copytree(run, "/tmp/synrun", dirs_exist_ok=True)
