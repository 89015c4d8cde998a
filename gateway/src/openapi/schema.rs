//! What schemas say once all of them are known.
//!
//! The derives know one struct at a time. Here is settled what takes more: members of a struct that
//! stands within another become members of the other; what is left out of answers is never `null`;
//! what nothing points at is dropped.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{AllOf, Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Required};

const PLACE: &str = "#/components/schemas/";

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Settles the schemas of the whole document.
pub(super) fn settle(api: &mut OpenApi) {
    for item in api.paths.paths.values_mut() {
        super::operations_mut(item).for_each(settle_operation);
    }
    let of_requests = reached(api, |operation| references(&operation.request_body));
    let Some(components) = &mut api.components else { return };
    let known = components.schemas.clone();
    for (name, schema) in &mut components.schemas {
        each(schema, &mut |schema| flatten(schema, &known));
        if !of_requests.contains(name) {
            each(schema, &mut forbid_null);
        }
        each(schema, &mut forget_null);
    }
    let used = reached(api, references);
    let used =
        used.into_iter().chain(references(&api.components.as_ref().map(|all| &all.responses)));
    let used: BTreeSet<String> = used.collect();
    let used = closed(used, api);
    if let Some(components) = &mut api.components {
        components.schemas.retain(|name, _| used.contains(name));
    }
}

/// What need not be said is left out, and no `null` is said instead.
fn settle_operation(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { schema: Some(schema), parameter_in, .. }) = parameter {
            debug_assert!(*parameter_in != ParameterIn::Cookie, "nothing here reads cookies");
            without_null(schema);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && !matches!(body.required, Some(Required::True))
    {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content
                && let Some(schema) = &mut content.schema
            {
                without_null(schema);
            }
        }
    }
}

/// Does something with a schema and with all those within it.
fn each(schema: &mut RefOr<Schema>, change: &mut impl FnMut(&mut Schema)) {
    let RefOr::T(schema) = schema else { return };
    change(schema);
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|member| each(member, change));
        }
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| each(item, change)),
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| each(item, change)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| each(item, change)),
        _ => {}
    }
}

/// Makes one object of several that stand within each other. Members of one that may be missing as
/// a whole need not be there.
fn flatten(schema: &mut Schema, known: &Schemas) {
    let Schema::AllOf(AllOf { items, description, .. }) = schema else { return };
    let mut whole = Object::with_type(Type::Object);
    let certain = |item: &&RefOr<Schema>| !matches!(item, RefOr::T(Schema::OneOf(_)));
    let (certain, perhaps): (Vec<_>, Vec<_>) = items.iter().partition(certain);
    let certain = certain.into_iter().map(|item| (Some(item), true));
    let perhaps = perhaps.into_iter().map(|item| match item {
        RefOr::T(Schema::OneOf(one)) => (one.items.iter().find(|item| !is_null(item)), false),
        other => (Some(other), false),
    });
    for (item, is_certain) in certain.chain(perhaps) {
        let Some(Schema::Object(part)) = item.and_then(|item| resolved(item, known)) else {
            return;
        };
        whole.properties.extend(part.properties.clone());
        if is_certain {
            whole.required.extend(part.required.clone());
        }
    }
    whole.description = description.take();
    *schema = Schema::Object(whole);
}

fn resolved<'a>(schema: &'a RefOr<Schema>, known: &'a Schemas) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(to) => match known.get(to.ref_location.strip_prefix(PLACE)?)? {
            RefOr::T(schema) => Some(schema),
            RefOr::Ref(_) => None,
        },
    }
}

/// A member of an answer that need not be there is never `null`.
fn forbid_null(schema: &mut Schema) {
    if let Schema::Object(Object { properties, required, .. }) = schema {
        for (name, member) in properties.iter_mut() {
            if !required.contains(name) {
                without_null(member);
            }
        }
    }
}

/// That the default of a member is `null` says no more than that it need not be there.
fn forget_null(schema: &mut Schema) {
    let default = match schema {
        Schema::Object(object) => &mut object.default,
        Schema::OneOf(one) => &mut one.default,
        Schema::AnyOf(any) => &mut any.default,
        Schema::AllOf(all) => &mut all.default,
        _ => return,
    };
    *default = default.take().filter(|value| *value != Value::Null);
}

/// Takes `null` out of what something may be.
fn without_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(inner) = schema else { return };
    match inner {
        Schema::Object(object) => one_type(&mut object.schema_type),
        Schema::Array(array) => one_type(&mut array.schema_type),
        Schema::OneOf(one) => {
            one.items.retain(|item| !is_null(item));
            if let [only] = one.items.as_slice() {
                *schema = only.clone();
            }
        }
        _ => {}
    }
}

fn one_type(types: &mut SchemaType) {
    if let SchemaType::Array(several) = types {
        several.retain(|one| *one != Type::Null);
        if let [one] = several.as_slice() {
            *types = SchemaType::Type(one.clone());
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    let null = SchemaType::Type(Type::Null);
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == null)
}

/// Names the schemas that are reached from what `take` finds in the operations.
fn reached(api: &mut OpenApi, take: impl Fn(&Operation) -> Vec<String>) -> BTreeSet<String> {
    let items = api.paths.paths.values_mut();
    let begin = items.flat_map(super::operations_mut).flat_map(|operation| take(operation));
    let begin = begin.collect();
    closed(begin, api)
}

/// Adds what the named schemas point at.
fn closed(begin: BTreeSet<String>, api: &OpenApi) -> BTreeSet<String> {
    let schemas = api.components.as_ref().map(|components| &components.schemas);
    let mut open = Vec::from_iter(begin);
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        let schema = schemas.and_then(|schemas| schemas.get(&name));
        if found.insert(name) {
            open.extend(references(&schema));
        }
    }
    found
}

/// Names the schemas that something points at. By its text: schemas can be nested in many ways.
fn references(something: &impl Serialize) -> Vec<String> {
    let json = serde_json::to_string(something).unwrap_or_default();
    let names = json.split(PLACE).skip(1);
    names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}
