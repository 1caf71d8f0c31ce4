//! The official Rust SDK as a client of the real binary, over `/mcp` and over stdio, in both eras of the protocol: with
//! a handshake (2025-11-25) and without (2026-07-28).
//!
//! A test is named by its transport, by the column of `docs/interop.md` that it counts for, by its claim and by the era:
//! `sdk::mcp::cancel::an_abandoned_call_leaves_no_process::stateless`. `tests/clients/rmcp` reads these names.

mod claims;
mod connection;
mod endings;
mod offers;
mod told;
mod user;

/// The tests of one transport: a claim is one test in each era.
macro_rules! claims_over {
    ($module:ident, $transport:expr, { $($topic:ident from $file:ident { $($claim:ident),* $(,)? })* }) => {
        mod $module {
            $(mod $topic {
                $(mod $claim {
                    use crate::sdk::connection::{Transport, Era};

                    #[test]
                    fn with_a_handshake() {
                        crate::sdk::run(crate::sdk::$file::$claim($transport, Era::Handshake));
                    }

                    #[test]
                    fn stateless() {
                        crate::sdk::run(crate::sdk::$file::$claim($transport, Era::Stateless));
                    }
                })*
            })*
        }
    };
}

/// What holds through every transport, and what holds through this one as well.
macro_rules! all_claims_over {
    ($name:ident, $transport:expr, { $($own:tt)* }) => {
        claims_over!($name, $transport, {
            connect from claims {
                the_server_says_who_it_is_and_agrees_on_the_revision,
                every_revision_that_the_sdk_speaks_is_agreed_on,
            }
            list from claims { every_tool_is_listed_in_the_fixed_order_with_its_schema }
            call from claims { two_and_three_is_five_as_the_plugin_printed_it }
            failing_call from claims {
                what_the_plugin_refuses_is_an_error_result_with_its_own_words,
                a_missing_argument_is_named_and_nothing_is_started,
                an_unknown_tool_is_refused_the_way_the_transport_refuses_it,
            }
            progress from told { every_step_of_the_progress_is_told }
            cancel from endings {
                a_cancelled_call_leaves_no_process_and_the_connection_goes_on,
                an_abandoned_call_leaves_no_process,
            }
            leave from endings { a_client_that_leaves_takes_its_processes_with_it }
            elicitation from told {
                an_accepted_question_brings_its_answer_to_the_plugin,
                a_declined_question_is_declined,
                a_plugin_that_asks_a_client_which_cannot_be_asked_is_told_so,
            }
            elicitation_at_once from offers { a_form_a_text_and_the_directories_are_told_apart_by_their_keys }
            sampling from offers {
                the_clients_model_answers_what_a_plugin_asks,
                a_tool_that_needs_a_model_is_refused_where_there_is_none,
            }
            roots from offers { the_clients_directories_reach_the_plugin }
            structured from offers {
                a_result_that_fits_its_schema_is_given_as_data,
                a_structured_tool_that_fails_says_why_in_its_own_words,
            }
            arrays from offers {
                lists_texts_and_numbers_are_structured_content_as_well,
                a_parameter_that_may_be_anything_costs_the_client_nothing,
            }
            prompts from offers {
                prompts_are_listed_with_their_arguments_and_filled_in,
                a_prompt_can_ask_the_user,
            }
            resources from offers {
                texts_keep_their_white_space_and_pictures_their_bytes,
                what_is_not_there_is_refused_with_the_code_of_the_revision,
            }
            subscriptions from offers { who_subscribes_is_told_of_that_resource_and_of_no_other }
            completions from offers {
                suggestions_fit_what_was_typed_and_know_what_is_filled_in,
                a_hundred_suggestions_are_given_and_that_there_are_more,
            }
            ten_mb_result from claims { ten_million_bytes_arrive_whole }
            unicode from claims { what_is_written_in_other_scripts_comes_back_to_the_letter }
            sixteen_at_once from claims { sixteen_calls_get_sixteen_answers_and_none_is_crossed }
            changes from told { a_client_is_told_of_a_new_tool_and_finds_it_listed }
            logging from told { only_logs_of_the_level_asked_for_are_told }
            $($own)*
        });
    };
}

all_claims_over!(mcp, Transport::Mcp, {
    key from claims { the_right_key_lets_a_client_in_and_no_other }
});
all_claims_over!(stdio, Transport::Stdio, {});
/// Runs a claim to its end, or to the end of everybody's patience.
fn run(claim: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has a descriptor left");
    runtime.block_on(async {
        tokio::time::timeout(crate::support::s(120), claim)
            .await
            .expect("every claim is settled long before");
    });
}
