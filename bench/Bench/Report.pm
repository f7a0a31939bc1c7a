package Bench::Report;

# The results as tables, with ratios, and the targets.

use strict;
use warnings;

use List::Util qw/ first max min /;

use Bench;
use Bench::Way;

# the columns of a method: figure, title, and whether more is better

my @rate = ([ rate => '/s', 1 ], [ p50 => 'p50 ms' ], [ p99 => 'p99 ms' ],
    [ cpu => 'CPU s/1000' ]);

my @load = ([ cores => 'cores' ], [ load => 'load' ], [ others => 'others' ]);

my @memory = map { [ $_ => $_ ] } qw/ entry relay reverse sum /;

my @bulk = ([ rate => 'Mbit/s', 1 ], [ cpu => 'CPU s/GB' ]);

my %columns = (
    (map { $_ => [ @bulk, @load ] } qw/ up1 down1 up8 down8 /),
    keepalive => [ @rate, @load ],
    new => [ @rate[0, 3], [ resumed => 'resumed %' ], @load ],
    (map { $_ => [ @rate, @load ] } qw/ connect rtt16 rtt64 agent16 /),
    parked => [ @memory[0 .. 2] ],
    (map { $_ => [ @memory, [ kernel_buffers => 'buffers' ],
        [ kernel_objects => 'objects' ] ] } qw/ open1000 open /),
    (map { $_ => [ @rate, [ relay => 'relay' ],
        [ busiest => 'busiest' ], @load ] } qw/ groups1 groups4 /),
);


sub new {
    my ($class, $results) = @_;
    return bless { %$results }, $class;
}


# the figure of a way in each round, and in the median

sub rounds {
    my ($self, $method, $way, $figure) = @_;
    my $of = ($self->{methods}{$method} || {})->{ways}{$way};

    return @{($of || {})->{$figure} || []};
}

sub middle {
    my @rounds = rounds(@_);
    return @rounds ? median(@rounds) : undef;
}

# of the ratios in each round

sub ratio {
    my ($self, $method, $figure, $one, $two) = @_;
    my @of = $self->rounds($method, $one, $figure);
    my @to = $self->rounds($method, $two, $figure);
    my @ratios = map { $to[$_] ? $of[$_] / $to[$_] : () }
        0 .. min($#of, $#to);

    return @ratios ? median(@ratios) : undef;
}

# the better one of two chains of stock nginx

sub chain {
    my ($self, $method, $figure, $more, @chains) = @_;
    my @known = sort {
        my ($x, $y) = map { $self->middle($method, $_, $figure) } $a, $b;
        $more ? $y <=> $x : $x <=> $y;
    } grep { defined $self->middle($method, $_, $figure) } @chains;

    return $known[0];
}


sub text {
    my ($self, @methods) = @_;
    my $text = '';

    for my $method (@methods) {
        my $m = $self->{methods}{$method} or next;
        my @columns = @{$columns{$method}};
        my @ways = grep { $m->{ways}{$_} } Bench::Way->ways();
        my $first = $columns[0][0] eq 'entry' ? 'sum' : $columns[0][0];
        my @ours = @ways > 1 ? grep { $m->{ways}{$_} } qw/ trp hub / : ();

        $text .= "\n" . line("$method: $m->{title}", (map { $_->[1] } @columns),
            map { "$_/this" } @ours);

        for my $way (@ways) {
            $text .= line('  ' . Bench::Way->title($way),
                (map { cell($self->middle($method, $way, $_->[0])) } @columns),
                map { cell($self->ratio($method, $first, $_, $way)) } @ours);
        }

        my @errors = map {
            my $n = $self->middle($method, $_, 'errors');
            $n ? "$_ $n" : ();
        } @ways;
        $text .= "  errors: @errors\n" if @errors;
    }

    return $text;
}

sub line {
    my ($title, @cells) = @_;
    return sprintf('%-46s', $title)
        . join('', map { sprintf " %10s", $_ } @cells) . "\n";
}

sub cell {
    my ($value) = @_;

    return !defined $value ? '-'
        : $value >= 1000 || $value == int $value ? sprintf '%.0f', $value
        : $value >= 100 ? sprintf '%.1f', $value
        : $value < 0.1 ? sprintf '%.3f', $value : sprintf '%.2f', $value;
}


# The targets: title, what was measured, relation, limit, and how it is known.

sub reaches {
    my ($self) = @_;
    my @reaches;

    my $add = sub {
        my ($title, $value, $relation, $limit, $note) = @_;
        return if !defined $value;

        push @reaches, { title => $title, value => $value,
            relation => $relation, limit => $limit, note => $note || '',
            good => $relation eq '>=' ? $value >= $limit : $value <= $limit };
    };

    $self->reaches_of_three($add);
    $self->reaches_of_two($add);

    return @reaches;
}

# a ratio to the better one of some ways

sub to_better {
    my ($self, $add, $one, $title, $method, $figure, $relation, $limit, @ways)
        = @_;
    my $two = $self->chain($method, $figure, $relation eq '>=', @ways)
        or return;

    $add->($title, $self->ratio($method, $figure, $one, $two), $relation,
        $limit, sprintf('%s, %s: %s and %s', $method, $two,
            map { cell($self->middle($method, $_, $figure)) } $one, $two));
}

sub reaches_of_three {
    my ($self, $add) = @_;

    my $to_chain = sub {
        $self->to_better($add, 'trp', @_, qw/ stock12 stock13 /);
    };

    $to_chain->("$_, to the faster chain", $_, 'rate', '>=', 1.2)
        for qw/ up1 down1 up8 down8 /;
    $to_chain->("$_: CPU per GB, to the cheaper chain", $_, 'cpu', '<=', 0.88)
        for qw/ up1 down1 up8 down8 /;

    $to_chain->('keep-alive requests, to the faster chain', 'keepalive', 'rate',
        '>=', 1);
    $to_chain->('new connections, to the faster chain', 'new', 'rate', '>=',
        2.5);
    $add->('new connections, to the chain with TLS 1.3',
        $self->ratio(qw/ new rate trp stock13 /), '>=', 5.5);
    $add->('new connections, to ssh -R',
        $self->ratio(qw/ new rate trp ssh /), '>=', 2);
    $add->('new connections, p99 in ms, 16 clients',
        $self->middle(qw/ connect trp p99 /), '<=', 5);
    $add->('CPU s per 1,000 new connections',
        $self->middle(qw/ new trp cpu /), '<=', 0.15);

    my $rtt = 2 * ($self->{settings}{rtt} || 20);

    for my $clients (16, 64) {
        my $p50 = $self->middle("rtt$clients", 'trp', 'p50');

        $add->("new connection, median to two legs' RTT, $clients clients",
            $p50 / $rtt, '<=', 1.1, sprintf '%.2f ms', $p50) if defined $p50;
    }

    $add->("parked tunnel, KiB, $_", $self->middle('parked', 'trp', $_), '<=',
        16) for qw/ entry relay reverse /;

    $to_chain->("$_: private memory, to the smaller chain", $_, 'sum', '<=', 1)
        for qw/ open1000 open /;

    my ($one, $four) = map { $self->middle("groups$_", 'trp', 'rate') } 1, 4;

    $add->('4 relay workers to 1, new connections', $four / $one, '>=', 1,
        sprintf 'one worker takes %.2f of a core, the busiest of 4 %.2f',
            map { $self->middle("groups$_", 'trp', 'busiest') } 1, 4)
        if $one && $four;
}

sub reaches_of_two {
    my ($self, $add) = @_;

    my $to = sub {
        my ($title, $method, $figure, $relation, $limit, @others) = @_;

        $self->to_better($add, 'hub', "hub: $title, to $_->[0]", $method,
            $figure, $relation, $limit, @{$_->[1]}) for @others;
    };

    my @ssh = ('ssh -R', ['ssh']);
    my @stock = ('stock', [qw/ stock2-12 stock2-13 /]);

    for (
        [ up1 => 'one stream up', 1, 1 ],
        [ down1 => 'one stream down', 1, 1 ],
        [ up8 => '8 streams up', 1.15, 0.95 ],
        [ down8 => '8 streams down', 1.15, 0.95 ],
    ) {
        my ($method, $title, $rate, $cpu) = @$_;

        $to->($title, $method, 'rate', '>=', $rate, [@ssh]);
        $to->($title, $method, 'rate', '>=', 1, [@stock]);
        $to->("$title, CPU", $method, 'cpu', '<=', $cpu, [@ssh], [@stock]);
    }

    my $keep = 'keep-alive requests';

    $to->($keep, 'keepalive', 'rate', '>=', 2, [@ssh]);
    $to->($keep, 'keepalive', 'rate', '>=', 1.1, [@stock]);
    $to->("$keep, p99", 'keepalive', 'p99', '<=', 1, [@stock]);

    my $requests = 'requests on new connections';

    $to->($requests, 'new', 'rate', '>=', 2.5, [@ssh]);
    $to->($requests, 'new', 'rate', '>=', 4, [@stock]);

    my $new = 'new connections, 16 clients';

    $to->($new, 'connect', 'rate', '>=', 1.8, [@ssh]);
    $to->("$new, p99", 'connect', 'p99', '<=', 1.5,
        [ 'one nginx', ['stock1'] ]);

    my $rtt = $self->{settings}{rtt} || 20;
    my $p50 = $self->middle(qw/ agent16 hub p50 /);

    $add->('hub: new connection, median to the RTT to the reverse',
        $p50 / $rtt, '<=', 1.1, sprintf '%.2f ms', $p50) if defined $p50;
}

sub verdicts {
    my ($self) = @_;
    my @reaches = $self->reaches() or return '';

    return "\n" . sprintf("%-54s %10s %9s\n", 'reach', 'measured', '')
        . join '', map {
            sprintf "%-54s %10s %2s %6s  %-5s  %s\n", $_->{title},
                cell($_->{value}), @$_{qw/ relation limit /},
                $_->{good} ? 'PASS' : 'short', $_->{note}
        } @reaches;
}


1;
