%% Evaluated in a broker of a run's own by `rabbitmqctl eval`: answers each expression that comes
%% through a socket in the node's folder with "+" and its value, or with "-" and what went wrong.
Door = filename:join(os:getenv("HOME"), "door"),
%% What an earlier life of the broker left there.
file:delete(Door),
Text = fun(Format, Values) -> unicode:characters_to_binary(io_lib:format(Format, Values)) end,
Value = fun(Question) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Question)),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    case erl_eval:exprs(Expressions, []) of
        {value, Said, _} when is_binary(Said) -> Said;
        {value, Said, _} -> Text("~0tp", [Said])
    end
end,
Answer = fun(Socket) ->
    {ok, Question} = gen_tcp:recv(Socket, 0),
    Said = try [<<"+">>, Value(Question)]
           catch Class:Why -> [<<"-">>, Text("~0tp: ~0tp", [Class, Why])]
           end,
    gen_tcp:send(Socket, Said),
    gen_tcp:close(Socket)
end,
Options = [{ifaddr, {local, Door}}, binary, {packet, 4}, {active, false}],
Asker = self(),
spawn(fun() ->
    {ok, Listener} = gen_tcp:listen(0, Options),
    %% A broker in a root belongs to root; the folder above lets nobody else in.
    ok = file:change_mode(Door, 8#777),
    Asker ! open,
    Serve = fun Serve() ->
        {ok, Socket} = gen_tcp:accept(Listener),
        Answering = spawn(fun() -> receive go -> Answer(Socket) end end),
        ok = gen_tcp:controlling_process(Socket, Answering),
        Answering ! go,
        Serve()
    end,
    Serve()
end),
receive open -> ok after 10000 -> error(door_stays_shut) end.
