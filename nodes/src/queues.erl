%% Each queue whose name begins with Prefix as its leader has it now, one line each: name, ready, unacked,
%% on its way to another queue, consumers, and the number of the last change that it has applied.
IsOurs = fun(Queue) ->
    {resource, _, queue, Name} = amqqueue:get_name(Queue),
    binary:longest_common_prefix([Name, Prefix]) =:= byte_size(Prefix)
end,
Line = fun(Name, Numbers) ->
    [Name, [["\t", integer_to_binary(Number)] || Number <- Numbers], "\n"]
end,
Describe = fun(Queue) ->
    {resource, _, queue, Name} = amqqueue:get_name(Queue),
    case amqqueue:get_type(Queue) of
        rabbit_quorum_queue ->
            %% A leader that was just started has not applied its log yet; this waits until it leads.
            Leader = amqqueue:get_pid(Queue),
            {ok, true, _} = ra:consistent_query(Leader, fun erlang:is_tuple/1, 5000),
            {ok, {{Index, _}, Held}, _} =
                ra:leader_query(Leader, fun rabbit_fifo:overview/1, 5000),
            Counts = [maps:get(Key, Held) || Key <- [num_ready_messages, num_checked_out]],
            Leaving = maps:get(num_discarded, Held) + maps:get(num_discard_checked_out, Held),
            Line(Name, Counts ++ [Leaving, maps:get(num_consumers, Held), Index]);
        _ ->
            Keys = [messages_ready, messages_unacknowledged, consumers],
            [Ready, Unacked, Consumers] =
                [Count || {_, Count} <- rabbit_amqqueue:info(Queue, Keys)],
            Line(Name, [Ready, Unacked, 0, Consumers, 0])
    end
end,
iolist_to_binary([Describe(Queue) || Queue <- rabbit_amqqueue:list(), IsOurs(Queue)]).
