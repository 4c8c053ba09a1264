use super::*;

/// The path at each transformation that begins.
fn parts(lines: &[&str]) -> Vec<String> {
    let mut entries = Entries::default();
    read(&mut entries, lines)
}

fn read(entries: &mut Entries, lines: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for line in lines {
        if let Told::Part(part) = entries.line(line) {
            told.push(format!("{}: {part}", entries.path()));
        }
    }
    told
}

const LOAD: &str = "load - Dispatching started for transformation [load]";

#[test]
fn two_entries_of_one_file_are_two() {
    let told = parts(&[
        "Kitchen - Start of run.",
        "daily - Start of job execution",
        "daily - Starting entry [north]",
        "north - Loading transformation from XML file [file:///srv/load.ktr]",
        "north - Using run configuration [Pentaho local]",
        LOAD,
        "daily - Starting entry [south]",
        LOAD,
        "daily - Finished job entry [south] (result=[true])",
        "daily - Finished job entry [north] (result=[true])",
    ]);
    assert_eq!(told, ["north: load", "south: load"]);
}

#[test]
fn jobs_within_jobs_have_a_path_in_a_known_language_and_in_another_one() {
    for start in ["开始项", "Empezando entrada "] {
        let start = |job: &str, entry: &str| format!("{job} - {start}[{entry}]");
        let (north, south) = (start("每日", "北方"), start("每日", "南方"));
        let (own, orders) = (start("每日", "订单"), start("装载", "订单"));
        let part = "订单 - 为了转换解除补丁开始  [订单]";
        let loads = "订单 - 从XML文件加载转换 [file:///订单.ktr]";
        let told = parts(&[
            "数据库.0 - 连接 [生产]",
            "每日 - 开始执行任务",
            &north,
            "北方 - 从XML文件加载任务 : [/srv/装载.kjb]",
            &orders,
            loads,
            part,
            "装载 - 完成作业项[订单] (结果=[true])",
            "每日 - 完成作业项[北方] (结果=[true])",
            &south,
            &orders,
            loads,
            part,
            &own,
            loads,
            part,
        ]);
        assert_eq!(told, ["北方 › 订单: 订单", "南方 › 订单: 订单", "订单: 订单"]);
    }
}

#[test]
fn one_name_for_a_job_its_entry_and_what_it_runs() {
    let told = parts(&[
        "load - Starting entry [load]",
        "load - Loading transformation from XML file [file:///load.ktr]",
        LOAD,
        "load - Starting entry [a]",
        LOAD,
        "load - Starting entry [b [c]]",
        "x [y] - Dispatching started for transformation [x [y]]",
    ]);
    assert_eq!(told, ["load: load", "a: load", "b [c]: x [y]"]);
}

#[test]
fn names_have_blanks_lines_dots_and_signs_of_their_own() {
    let told = parts(&[
        "DWH - daily.1 - Starting action [north]",
        "DWH - load - Execution started for pipeline [DWH - load]",
        "DWH - daily.1 - Starting action [south]",
        "DWH - part - Starting action [a › b]",
        "DWH - load - Execution started for pipeline [DWH - load]",
        "mart - load - Transformation allocated new rowset [a.0 - b.0]",
        "DWH - daily.1 - Starting action [last]",
        "DWH - load - Execution started for pipeline [DWH - load]",
    ]);
    assert_eq!(told, ["north: DWH - load", "south › a > b: DWH - load", "last: DWH - load"]);
}

#[test]
fn side_by_side_nobody_knows_whose_lines_they_are() {
    // The last is that of Hop 2.15 in Chinese, with a blank at its end.
    for (start, before, after) in [
        ("Starting entry ", "Launched job entry ", " in parallel."),
        ("Start Action ", "Action ", " parallel gestartet"),
        ("开始项", "并行启动作业项 ", " "),
    ] {
        let start = |job: &str, entry: &str| format!("{job} - {start}[{entry}]");
        let launch = |entry: &str| format!("within - {before}[{entry}]{after}");
        let told = parts(&[
            &start("daily", "all"),
            &start("within", "first"),
            LOAD,
            &start("within", "a [1]"),
            // Its thread is faster than who has started it.
            &start("within", "a2"),
            &launch("a [1]"),
            &start("within", "b"),
            &launch("b"),
            LOAD,
            LOAD,
            &start("daily", "after"),
            LOAD,
        ]);
        assert_eq!(told, ["all › first: load", "all: load", "all: load", "after: load"]);
    }
    let mut entries = Entries::default();
    entries.line("daily - Starting action [a]");
    assert_eq!(entries.line("daily - Finished action [a] (result=[true])"), Told::Nothing);
    assert_eq!(entries.line("daily - Launched action [a] in parallel."), Told::Launch);
}

#[test]
fn what_a_server_runs_stands_below_a_job_of_ours() {
    let below = || Entries::below(["hcndc-1".to_owned()]);
    let work = "hcndc-1 - Starting entry [work]";
    let daily = "daily - Starting entry [north]";
    assert_eq!(read(&mut below(), &[work, daily, LOAD]), ["north: load"]);
    assert_eq!(read(&mut below(), &[work, LOAD]), [": load"]);
    // The server has forgotten how it began.
    assert_eq!(read(&mut below(), &[daily, LOAD]), [": load"]);
    let mut entries = below();
    read(&mut entries, &[work, daily]);
    entries.hole();
    assert_eq!(read(&mut entries, &[daily, LOAD]), [": load"]);
}

#[test]
fn steps_programs_connections_and_what_people_write_are_no_jobs() {
    let told = parts(&[
        "Kitchen - Looking for repository [etl]",
        "INFO - begin [2026-11-20]",
        "read.p1 - Opening file [/srv/a.csv]",
        "start - Opening file [x.csv]",
        "daily - Starting action [load]",
        "load - Execution started for pipeline [load]",
        "orders - Commit on database connection [orders]",
        "abort.0 - Row nr 1 causing abort : [hello]",
        "dw - TRUNCATE TABLE [dbo].[orders]",
        "outer - begin [2026-11-20]",
        "[map].sub - Dispatching started for transformation [sub]",
        "load - Rows [7]",
        "more - Execution started for pipeline [more]",
    ]);
    assert_eq!(told, ["load: load", "load: more"]);
}

#[test]
fn there_is_a_limit_to_it() {
    let mut entries = Entries::default();
    for n in 0..=STARTED_MAX {
        entries.line(&format!("job - Starting entry [e{n}]"));
    }
    assert_eq!((entries.path().as_str(), entries.levels[0].started.len()), ("", STARTED_MAX));
    let mut entries = Entries::default();
    for n in 0..2 * DEEP_MAX {
        entries.line(&format!("job{n} - Starting entry [e{n}]"));
    }
    assert_eq!((entries.path().as_str(), entries.levels.len()), ("", DEEP_MAX));
}
