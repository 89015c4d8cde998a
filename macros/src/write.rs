//! The code that the derive writes.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Ident};

use crate::Place;
use crate::attributes::{Attributes, Backoff};

/// Writes the `impl` of `Task`, and that of `Debug` where fields are redacted.
pub(crate) fn task(input: &DeriveInput, place: &Place) -> Result<TokenStream, Error> {
    let attributes = Attributes::read(input)?;
    let Place { root, below } = place;
    let root = attributes.root.as_ref().map_or_else(|| root.clone(), |root| quote!(#root));
    let module = &quote!(#root::#below);
    let (name, (generics, of, bounds)) = (&input.ident, input.generics.split_for_impl());
    let Attributes { kind, aliases, redact, .. } = &attributes;
    let redacted = redact.iter().map(Ident::to_string);
    let defaults = defaults(&attributes, module);
    let shape = if attributes.schema { shape(module) } else { TokenStream::new() };
    let debug = if redact.is_empty() { TokenStream::new() } else { debug(input, redact) };
    Ok(quote! {
        #[automatically_derived]
        impl #generics #module::Task for #name #of #bounds {
            const KIND: &'static str = #kind;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            const REDACTED: &'static [&'static str] = &[#(#redacted),*];

            fn defaults() -> #module::Defaults {
                #defaults
            }

            #shape
        }
        #debug
    })
}

fn shape(module: &TokenStream) -> TokenStream {
    quote! {
        fn shape() -> #module::Shaped {
            static SHAPE: ::std::sync::OnceLock<#module::Shaped> = ::std::sync::OnceLock::new();
            #module::shape_of::<Self>(&SHAPE)
        }
    }
}

fn defaults(attributes: &Attributes, module: &TokenStream) -> TokenStream {
    let Attributes { queue, class, max_attempts, backoff, timeout, .. } = attributes;
    let queue = queue.iter();
    let class = class.iter().map(|class| format_ident!("{class}"));
    let max_attempts = max_attempts.iter();
    let backoff = backoff.iter().map(|backoff| curve(backoff, module));
    let timeout = timeout.iter().copied().map(duration);
    quote! {
        #module::Defaults::new()
            #(.queue(#queue))*
            #(.class(#module::Class::#class))*
            #(.max_attempts(#max_attempts))*
            #(.backoff(#backoff))*
            #(.timeout(#timeout))*
    }
}

fn curve(backoff: &Backoff, module: &TokenStream) -> TokenStream {
    match backoff {
        Backoff::Exponential { base, factor, max } => {
            let (base, max) = (duration(*base), duration(*max));
            quote!(#module::Backoff::Exponential { base: #base, factor: #factor, max: #max })
        }
        Backoff::Linear { base, step, max } => {
            let (base, step, max) = (duration(*base), duration(*step), duration(*max));
            quote!(#module::Backoff::Linear { base: #base, step: #step, max: #max })
        }
        Backoff::Fixed { delay } => {
            let delay = duration(*delay);
            quote!(#module::Backoff::Fixed { delay: #delay })
        }
        Backoff::List { delays } => {
            let delays = delays.iter().copied().map(duration);
            quote!(#module::Backoff::List { delays: ::std::vec![#(#delays),*] })
        }
    }
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanoseconds))
}

/// Writes `Debug` as its derive would, but for what is redacted.
fn debug(input: &DeriveInput, redact: &[Ident]) -> TokenStream {
    let (name, (generics, of, bounds)) = (&input.ident, input.generics.split_for_impl());
    let title = name.to_string();
    // Only a struct with named fields gets here with something to redact.
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(fields),
            Fields::Unnamed(_) | Fields::Unit => None,
        },
        Data::Enum(_) | Data::Union(_) => None,
    };
    let fields = fields.into_iter().flat_map(|fields| &fields.named);
    let shown = fields.filter_map(|field| field.ident.as_ref()).map(|field| {
        let title = field.to_string();
        if redact.contains(field) {
            quote!(.field(#title, &::core::format_args!("[redacted]")))
        } else {
            quote!(.field(#title, &self.#field))
        }
    });
    quote! {
        #[automatically_derived]
        impl #generics ::core::fmt::Debug for #name #of #bounds {
            fn fmt(&self, to: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                to.debug_struct(#title)#(#shown)*.finish()
            }
        }
    }
}
