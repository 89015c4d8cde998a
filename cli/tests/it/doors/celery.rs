//! A stock Celery client puts tasks in, and reads what became of them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Door, clients, letter, over, pages};
use crate::ground::Ground;
use crate::role::Role;

on_servers! {
    the_client_of_the_page_gets_its_results,
    what_is_asked_beyond_one_task_is_refused_aloud_and_can_be_mended,
    what_ends_without_a_run_is_told_too,
    a_redis_of_its_own_gets_the_results,
    a_redis_that_is_not_there_holds_no_task_up,
}

/// Makes the door of the page.
fn door(ground: &Ground, more: &str) -> Door {
    let settings = pages::CELERY.program("leveret.toml");
    let (servers, kinds) = settings.split_once("\n\n").unwrap();
    let door = Door::open(ground, &format!("{servers}\n{more}\n{kinds}"));
    for name in ["celery_app.py", "celery_calls.py", "add.py"] {
        door.write(name, &pages::CELERY.program(name));
    }
    door
}

/// Runs a program of Celery calls and returns the JSON that it printed.
fn told(door: &Door, python: &clients::Interpreter, program: &str) -> Value {
    let head = "import json, sys, time\nfrom celery import Celery, chain, chord, group\n\
                from celery_app import add, app\n\
                def outcome(result):\n    \
                    try:\n        return result.get(timeout=60)\n    \
                    except Exception as error:\n        \
                        return [type(error).__name__, str(error), result.state]\n";
    door.write("calls.py", &format!("{head}{program}"));
    let printed = door.run(python, "calls.py");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

async fn the_client_of_the_page_gets_its_results(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = door(&ground, "");
    let dev = door.dev();
    assert_eq!(door.run(&python, "celery_calls.py"), "all as it should be\n");
    // Its own id is one of ours.
    assert_eq!(over(&dev, "order 7")["result"], 5);
    let said = told(
        &door,
        &python,
        "urgent = add.apply_async((1, 2), priority=9)\n\
         routed = add.apply_async((1, 2), queue='mail.high')\n\
         both = add.apply_async((1,), {'y': 2}, headers={'lv-tags': {'tenant': '42'}})\n\
         app.conf.task_protocol = 1\n\
         old = Celery('old', broker=app.conf.broker_url, backend=app.conf.result_backend)\n\
         old.conf.update({k: app.conf[k] for k in ['task_queues', 'task_default_queue',\n    \
             'task_create_missing_queues', 'broker_transport_options']}, task_protocol=1)\n\
         one = old.send_task('shop.add', args=[4, 5], countdown=1)\n\
         silent = add.apply_async((1, 2), ignore_result=True)\n\
         print(json.dumps({'urgent': [urgent.id, urgent.get(timeout=60)],\n    \
             'routed': [routed.id, routed.get(timeout=60)], 'both': [both.id, outcome(both)],\n    \
             'one': [one.id, one.get(timeout=60)], 'silent': silent.id}))\n",
    );
    let id = |name: &str| said[name][0].as_str().unwrap().to_owned();
    assert_eq!((&said["urgent"][1], &said["one"][1]), (&json!(3), &json!(9)), "{said}");
    assert_eq!(over(&dev, &id("urgent"))["class"], "critical");
    assert_eq!(over(&dev, &id("routed"))["class"], "high");
    // The handler of the page knows no mixed args: what it was given is told.
    assert_eq!(said["both"][1][2], "FAILURE", "{said}");
    let both = letter(&dev, &id("both"));
    assert_eq!(both["args"], json!({"args": [1], "kwargs": {"y": 2}}), "{both}");
    assert_eq!(both["tags"], json!({"tenant": "42"}), "{both}");
    let silent = said["silent"].as_str().unwrap();
    assert_eq!(over(&dev, silent)["state"], "done");
    let state = format!("print(json.dumps(app.AsyncResult('{silent}').state))\n");
    assert_eq!(told(&door, &python, &state), "PENDING");
}

async fn what_is_asked_beyond_one_task_is_refused_aloud_and_can_be_mended(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = door(&ground, "");
    let dev = door.dev();
    let said = told(
        &door,
        &python,
        "sent = {'chain': chain(add.s(1, 2), add.s(4)).apply_async().parent,\n    \
             'chord': chord([add.s(1, 2)], add.si(7, 1)).apply_async().parent.results[0],\n    \
             'link': add.apply_async((1, 2), link=add.s(9)),\n    \
             'errors': add.apply_async((1, 2), link_error=add.s(9)),\n    \
             'pickle': add.apply_async((1, 2), serializer='pickle'),\n    \
             'gzip': add.apply_async((1, 2), compression='gzip'),\n    \
             'nan': add.apply_async((float('nan'), 2)),\n    \
             'name': app.send_task('shop:add', (1, 2))}\n\
         old = Celery('old', broker=app.conf.broker_url, backend=app.conf.result_backend)\n\
         old.conf.update({k: app.conf[k] for k in ['task_queues', 'task_default_queue',\n    \
             'task_create_missing_queues']}, task_protocol=1, task_serializer='pickle')\n\
         sent['old'] = old.send_task('shop.add', (1, 2))\n\
         print(json.dumps({name: [result.id, *outcome(result)] for name, result in sent.items()}))\n",
    );
    for (name, words) in [
        ("chain", "asks for a chain"),
        ("chord", "asks for a chord"),
        ("link", "asks for a link (callbacks)"),
        ("errors", "asks for a link_error (errbacks)"),
        ("pickle", "task_serializer"),
        ("gzip", "task_compression"),
        ("nan", "NaN and Infinity are no JSON"),
        ("name", "kind \"shop:add\" is not valid"),
        ("old", "task_serializer"),
    ] {
        let [id, class, why, state] = &said[name].as_array().unwrap()[..] else { panic!("{said}") };
        assert_eq!((class, state), (&json!("decode"), &json!("FAILURE")), "{name}: {said}");
        assert!(why.as_str().unwrap().contains(words), "{name}: {why}");
        let letter = letter(&dev, id.as_str().unwrap());
        // What is no kind, or hidden in a pickle, cannot be told.
        let kind = if matches!(name, "name" | "old") { "" } else { "shop.add" };
        assert_eq!((&letter["reason"], &letter["kind"]), (&json!("malformed"), &json!(kind)));
        assert_eq!(&letter["error"], why, "{letter}");
    }
    // As it was, it is refused again; with args of its own, it runs alone.
    let id = said["chain"][0].as_str().unwrap();
    dev.ask(&["dead", "replay", id]).succeeds();
    let again = letter(&dev, id);
    assert_eq!((&again["reason"], &again["replay"]), (&json!("malformed"), &json!(1)), "{again}");
    dev.ask(&["dead", "replay", id, "--args", "[1, 2]"]).succeeds();
    let result = format!(
        "result = app.AsyncResult('{id}')\nwhile result.state != 'SUCCESS': time.sleep(0.05)\n\
         print(json.dumps(result.get()))\n"
    );
    assert_eq!(told(&door, &python, &result), 3);
}

async fn what_ends_without_a_run_is_told_too(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = door(&ground, "worker.timeout = \"1m\"");
    door.write("add.py", "import time\ntime.sleep(60)\n");
    // It declares the lanes, and is gone when the tasks come.
    let first = door.dev();
    first.send(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(first.ends().0, Some(0));
    let sent = told(
        &door,
        &python,
        "cancelled = add.apply_async((1, 2))\n\
         expired = add.apply_async((1, 2), expires=0.2)\n\
         slow = add.apply_async((1, 2), soft_time_limit=0.5, time_limit=30)\n\
         print(json.dumps([cancelled.id, expired.id, slow.id]))\n",
    );
    let ids: Vec<&str> = sent.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let gateway = Role::start(&door.home, &["gateway", "-o", "jsonl"]);
    gateway.ask(&["task", "cancel", ids[0], "--force"]).succeeds();
    drop(gateway);
    let dev = door.dev();
    let outcomes =
        format!("print(json.dumps([outcome(app.AsyncResult(id)) for id in {}]))\n", json!(ids));
    let said = told(&door, &python, &outcomes);
    assert_eq!(said[0], json!(["TaskRevokedError", "cancelled", "REVOKED"]), "{said}");
    assert_eq!(said[1], json!(["TaskRevokedError", "expired", "REVOKED"]), "{said}");
    assert_eq!(said[2][0], "TimeLimitExceeded", "{said}");
    assert_eq!(over(&dev, ids[1])["state"], "expired");
}

async fn a_redis_of_its_own_gets_the_results(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let Ground::Servers { store, .. } = &ground else { panic!("it has a door") };
    let other = format!("{}/3", store.trim_end_matches('/'));
    let door = door(&ground, &format!("celery.results_url = \"{other}\""));
    let app = pages::CELERY.program("celery_app.py").replace(super::STORE, &other);
    door.write("celery_app.py", &app);
    let _dev = door.dev();
    let sum = "print(json.dumps(add.delay(1, 2).get(timeout=60)))\n";
    assert_eq!(told(&door, &python, sum), 3);
}

async fn a_redis_that_is_not_there_holds_no_task_up(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = door(&ground, "celery.results_url = \"redis://127.0.0.1:9/0\"");
    let dev = door.dev();
    let sent = told(&door, &python, "print(json.dumps(add.delay(1, 2).id))\n");
    let task = over(&dev, sent.as_str().unwrap());
    assert_eq!((&task["state"], &task["result"]), (&json!("done"), &json!(3)), "{task}");
}

#[test]
fn a_handlers_args_are_read_from_positional_and_from_keyword_args() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Add {
        x: i64,
        y: i64,
    }
    for args in ["[2, 3]", "{\"x\": 2, \"y\": 3}"] {
        assert_eq!(serde_json::from_str::<Add>(args).unwrap(), Add { x: 2, y: 3 });
    }
}
