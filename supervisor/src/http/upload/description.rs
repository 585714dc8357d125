//! The options of an upload in the OpenAPI document, from the table of options.

use crate::http::upload::options::WEBHOOK_URL;
use bodyscript_protocol::options::{OPTIONS, OptionRow, Values};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, Number, PartialSchema, ToSchema};

/// The query parameters of an upload.
pub(crate) struct UploadQuery;

impl IntoParams for UploadQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let meaning = "File name of the video, if the body is the video itself.";
        let filename = ("filename", meaning.to_owned(), plain(Type::String.into()));
        let parameter = |(name, meaning, schema): Field| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(meaning))
                .schema(Some(schema))
                .build()
        };
        std::iter::once(filename).chain(options(SchemaType::from)).map(parameter).collect()
    }
}

/// The form fields of an upload.
pub(crate) struct UploadForm;

impl ToSchema for UploadForm {}

impl PartialSchema for UploadForm {
    fn schema() -> RefOr<Schema> {
        let video = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some("The video."));
        let form = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("Form fields of an upload."))
            .property("file", video)
            .required("file");
        let add = |form: ObjectBuilder, (name, meaning, mut schema): Field| {
            schema.description = Some(meaning);
            form.property(name, schema)
        };
        options(or_null).fold(form, add).into()
    }
}

/// Name, meaning and values of one option.
type Field = (&'static str, String, Object);

/// All options; `kind_of` makes the type of one that has no list of names.
fn options(kind_of: fn(Type) -> SchemaType) -> impl Iterator<Item = Field> {
    let webhook =
        "URL that receives a webhook when the job ends (Standard Webhooks), if configured.";
    let webhook = (WEBHOOK_URL, webhook.to_owned(), plain(kind_of(Type::String)));
    let field = move |row: &OptionRow| (row.name, meaning(row), schema(row.values, kind_of));
    OPTIONS.iter().map(field).chain([webhook])
}

/// Generated clients may pass null for a form field that is not set.
fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

fn plain(kind: SchemaType) -> Object {
    ObjectBuilder::new().schema_type(kind).build()
}

fn meaning(row: &OptionRow) -> String {
    let help = row.full_help();
    match row.excludes {
        Some(other) => format!("{help}; can't be combined with `{other}`."),
        None => format!("{help}."),
    }
}

fn schema(values: Values, kind_of: fn(Type) -> SchemaType) -> Object {
    match values {
        Values::OneOf(names) => {
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names()))
        }
        Values::ListOf(names) => {
            let name = format!("(all|default|{})", names().join("|"));
            let list = format!("^{name}(,{name})*$");
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(list))
        }
        Values::Person => {
            let number = r"[0-9]+(\.[0-9]{1,3})?";
            let person =
                format!(r"^(largest|central|longest|[0-9]+|{number}(\s*,\s*{number}){{2}})$");
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(person))
        }
        Values::Area => {
            let fraction = r"\s*[0-9]+(\.[0-9]{1,3})?\s*";
            let area = format!("^{fraction}(,{fraction}){{3}}$");
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(area))
        }
        Values::Whole(min, max) => ObjectBuilder::new()
            .schema_type(kind_of(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(min))
            .maximum(Some(max)),
        Values::Number { min, max, .. } => ObjectBuilder::new()
            .schema_type(kind_of(Type::Number))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)))
            .minimum(Some(limit(min)))
            .maximum(Some(limit(max))),
    }
    .build()
}

/// A limit that is written without a fraction where it has none.
fn limit(value: f64) -> Number {
    if value.fract() == 0.0 { (value as i64).into() } else { value.into() }
}
