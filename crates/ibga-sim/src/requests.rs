//! The names of requests, for events. As in IBKR's own Python client 10.51.

/// The name of a request's message id.
pub(crate) fn name(id: u32) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == id).map_or("unknown", |(_, name)| name)
}

const NAMES: &[(u32, &str)] = &[
    (1, "req_mkt_data"),
    (2, "cancel_mkt_data"),
    (3, "place_order"),
    (4, "cancel_order"),
    (5, "req_open_orders"),
    (6, "req_acct_data"),
    (7, "req_executions"),
    (8, "req_ids"),
    (9, "req_contract_data"),
    (10, "req_mkt_depth"),
    (11, "cancel_mkt_depth"),
    (12, "req_news_bulletins"),
    (13, "cancel_news_bulletins"),
    (14, "set_server_loglevel"),
    (15, "req_auto_open_orders"),
    (16, "req_all_open_orders"),
    (17, "req_managed_accts"),
    (18, "req_fa"),
    (19, "replace_fa"),
    (20, "req_historical_data"),
    (21, "exercise_options"),
    (22, "req_scanner_subscription"),
    (23, "cancel_scanner_subscription"),
    (24, "req_scanner_parameters"),
    (25, "cancel_historical_data"),
    (49, "req_current_time"),
    (50, "req_real_time_bars"),
    (51, "cancel_real_time_bars"),
    (54, "req_calc_implied_volat"),
    (55, "req_calc_option_price"),
    (56, "cancel_calc_implied_volat"),
    (57, "cancel_calc_option_price"),
    (58, "req_global_cancel"),
    (59, "req_market_data_type"),
    (61, "req_positions"),
    (62, "req_account_summary"),
    (63, "cancel_account_summary"),
    (64, "cancel_positions"),
    (65, "verify_request"),
    (66, "verify_message"),
    (67, "query_display_groups"),
    (68, "subscribe_to_group_events"),
    (69, "update_display_group"),
    (70, "unsubscribe_from_group_events"),
    (71, "start_api"),
    (72, "verify_and_auth_request"),
    (73, "verify_and_auth_message"),
    (74, "req_positions_multi"),
    (75, "cancel_positions_multi"),
    (76, "req_account_updates_multi"),
    (77, "cancel_account_updates_multi"),
    (78, "req_sec_def_opt_params"),
    (79, "req_soft_dollar_tiers"),
    (80, "req_family_codes"),
    (81, "req_matching_symbols"),
    (82, "req_mkt_depth_exchanges"),
    (83, "req_smart_components"),
    (84, "req_news_article"),
    (85, "req_news_providers"),
    (86, "req_historical_news"),
    (87, "req_head_timestamp"),
    (88, "req_histogram_data"),
    (89, "cancel_histogram_data"),
    (90, "cancel_head_timestamp"),
    (91, "req_market_rule"),
    (92, "req_pnl"),
    (93, "cancel_pnl"),
    (94, "req_pnl_single"),
    (95, "cancel_pnl_single"),
    (96, "req_historical_ticks"),
    (97, "req_tick_by_tick_data"),
    (98, "cancel_tick_by_tick_data"),
    (99, "req_completed_orders"),
    (100, "req_wsh_meta_data"),
    (101, "cancel_wsh_meta_data"),
    (102, "req_wsh_event_data"),
    (103, "cancel_wsh_event_data"),
    (104, "req_user_info"),
    (105, "req_current_time_in_millis"),
    (106, "cancel_contract_data"),
    (107, "cancel_historical_ticks"),
    (108, "req_config"),
    (109, "update_config"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_unique() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((name(49), name(9), name(12_345)), ("req_current_time", "req_contract_data", "unknown"));
    }
}
