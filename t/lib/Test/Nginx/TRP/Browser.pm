package Test::Nginx::TRP::Browser;

# A page in headless Chromium, driven through its DevTools protocol on a pair of
# pipes.
#
#     my $missing = browser_missing();
#     my $b = Test::Nginx::TRP::Browser->new($t, width => 1280, height => 800);
#
#     $b->open("http://127.0.0.1:$port/trp/");
#     $b->value('document.title')        a value that JSON can carry
#     $b->wait('ready')                  until it is true: its value
#     $b->key('Tab'), $b->key('/')
#     $b->size(390, 844);
#     $b->media('prefers-color-scheme' => 'dark');
#     $b->picture('FILE.png');           with full => 1: all of the page
#     $b->tree()                         what a screen reader gets, as a list
#     $b->complaints()                   exceptions, violations, errors
#     $b->call('Domain.method', { ... })
#
# It resolves no name, so nothing leaves this machine.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Spec;
use IO::Handle;
use IO::Select;
use JSON::PP;
use MIME::Base64;
use POSIX qw/ dup2 setpgid /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

use Test::Nginx::TRP::Waiting qw/ wait_for /;

our @EXPORT = qw/ browser_missing /;

use constant TIMEOUT => 60;

my $json = JSON::PP->new()->utf8()->allow_nonref();

my %keys = (
    Tab => [ 9 ], Enter => [ 13, "\r" ], Escape => [ 27 ], ' ' => [ 32, ' ' ],
);


sub browser_missing {
    return if grep { -x "$_/chromium" } File::Spec->path();
    return 'chromium not found';
}


sub new {
    my ($class, $t, %opts) = @_;
    my $dir = $t->testdir() . '/browser';

    mkdir $dir or die "mkdir: $!\n";
    mkdir "$dir/home" or die "mkdir: $!\n";

    pipe my $commands, my $in or die "pipe: $!\n";
    pipe my $out, my $answers or die "pipe: $!\n";

    $t->run_daemon(\&_browse, $dir, $commands, $answers, $in, $out);

    close $commands;
    close $answers;
    $in->autoflush(1);

    my $self = bless { in => $in, out => $out, dir => $dir, next => 1,
        read => '', complaints => [] }, $class;

    my $target = $self->call('Target.createTarget', { url => 'about:blank' });

    $self->{session} = $self->call('Target.attachToTarget', {
        targetId => $target->{targetId}, flatten => JSON::PP::true,
    })->{sessionId};

    $self->call("$_.enable") for qw/ Page Runtime Log Accessibility /;
    $self->size($opts{width} || 1280, $opts{height} || 800);

    return $self;
}


# Chromium reads commands from 3, and answers on 4.  It is a process group with
# its helpers, and ends with the test.

sub _browse {
    my ($dir, $commands, $answers, $in, $out) = @_;

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        setpgid(0, 0);
        $ENV{HOME} = "$dir/home";
        delete @ENV{qw/ DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS /};
        CORE::open STDIN, '<', '/dev/null';
        CORE::open STDOUT, '>', "$dir/log";
        CORE::open STDERR, '>&', \*STDOUT;

        # neither may be overwritten before it has been copied

        my @high = map { dup2(fileno $_, 64 + fileno $_) } $commands, $answers;

        close $_ for $commands, $answers, $in, $out;
        dup2($high[$_], 3 + $_) for 0, 1;
        POSIX::close($_) for @high;

        exec 'chromium', qw/
            --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage
            --disable-background-networking --disable-component-update
            --disable-breakpad --no-first-run --no-proxy-server
            --hide-scrollbars --force-color-profile=srgb
            --remote-debugging-pipe
            /,
            '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
            "--user-data-dir=$dir/profile", 'about:blank'
            or POSIX::_exit(127);
    }

    close $_ for $commands, $answers, $in, $out;

    $SIG{TERM} = sub { kill 'TERM', $pid };
    waitpid $pid, 0;

    # ends what is left of the group, too

    wait_for(sub { kill('KILL', -$pid) == 0 });
}


# A command and its result.  Messages end with a zero byte.

sub call {
    my ($self, $method, $params) = @_;
    my $id = $self->{next}++;

    syswrite $self->{in}, $json->encode({ id => $id, method => $method,
        params => $params || {},
        $self->{session} ? (sessionId => $self->{session}) : (),
    }) . "\0";

    while (1) {
        my $message = $self->_message() or die "$method: no answer\n"
            . $self->_log();

        if (!$message->{id}) {
            $self->_event($message);
            next;
        }

        next if $message->{id} != $id;
        die "$method: $message->{error}->{message}\n" if $message->{error};

        return $message->{result};
    }
}


sub _message {
    my ($self, $timeout) = @_;
    my $select = IO::Select->new($self->{out});
    my $deadline = time() + ($timeout // TIMEOUT);

    while ($self->{read} !~ /\0/) {
        my $left = $deadline - time();

        return if !$select->can_read($left > 0 ? $left : 0);
        return if !sysread $self->{out}, $self->{read}, 65536,
            length $self->{read};
    }

    my ($text, $rest) = split /\0/, $self->{read}, 2;
    $self->{read} = $rest;

    return $json->decode($text);
}


sub _event {
    my ($self, $message) = @_;
    my ($method, $params) = @{$message}{qw/ method params /};

    if ($method eq 'Runtime.exceptionThrown') {
        my $details = $params->{exceptionDetails};
        push @{$self->{complaints}}, $details->{exception}->{description}
            || $details->{text};

    } elsif ($method eq 'Log.entryAdded'
        && $params->{entry}->{level} =~ /^(?:error|warning)$/)
    {
        push @{$self->{complaints}}, join ' ', grep { defined }
            @{$params->{entry}}{qw/ text url /};

    } elsif ($method eq 'Runtime.consoleAPICalled') {
        push @{$self->{complaints}}, join ' ', map {
            $_->{value} // $_->{description} // $_->{type}
        } @{$params->{args}};
    }
}


sub _log {
    my ($self) = @_;
    CORE::open my $fh, '<', "$self->{dir}/log" or return '';
    local $/;
    return <$fh> // '';
}


sub open {
    my ($self, $url) = @_;
    my $result = $self->call('Page.navigate', { url => $url });

    die "$url: $result->{errorText}\n" if $result->{errorText};
    $self->wait("document.readyState === 'complete'");
}


sub value {
    my ($self, $expression) = @_;

    my $result = $self->call('Runtime.evaluate', {
        expression => $expression,
        returnByValue => JSON::PP::true,
        awaitPromise => JSON::PP::true,
    });

    if (my $details = $result->{exceptionDetails}) {
        die "$expression: ", $details->{exception}->{description}
            || $details->{text}, "\n";
    }

    return $result->{result}->{value};
}


sub wait {
    my ($self, $expression, $timeout) = @_;
    return wait_for(sub { $self->value($expression) }, $timeout);
}


sub key {
    my ($self, $key, %opts) = @_;
    my ($code, $text) = @{$keys{$key} || [ ord uc $key, $key ]};

    my %event = (key => $key, windowsVirtualKeyCode => $code,
        modifiers => $opts{shift} ? 8 : 0, $text ? (text => $text) : ());

    $self->call('Input.dispatchKeyEvent', { type => $_, %event })
        for $text ? 'keyDown' : 'rawKeyDown', 'keyUp';
}


sub size {
    my ($self, $width, $height) = @_;
    my $phone = $width < 500 ? JSON::PP::true : JSON::PP::false;

    $self->call('Emulation.setDeviceMetricsOverride', { width => $width,
        height => $height, deviceScaleFactor => 1, mobile => $phone });
}


sub media {
    my ($self, %features) = @_;

    $self->call('Emulation.setEmulatedMedia', { features => [
        map { { name => $_, value => $features{$_} } } sort keys %features
    ] });
}


sub picture {
    my ($self, $file, %opts) = @_;

    my $picture = $self->call('Page.captureScreenshot', { format => 'png',
        $opts{full} ? (captureBeyondViewport => JSON::PP::true) : () });

    CORE::open my $fh, '>:raw', $file or die "can't write $file: $!\n";
    print {$fh} decode_base64($picture->{data});
    close $fh or die "can't write $file: $!\n";
}


# Each node that is not ignored: role, name, and its properties by name.

sub tree {
    my ($self) = @_;
    my $nodes = $self->call('Accessibility.getFullAXTree')->{nodes};

    return map { {
        role => $_->{role}->{value},
        name => $_->{name}->{value} // '',
        map { $_->{name} => $_->{value}->{value} } @{$_->{properties} || []},
    } } grep { !$_->{ignored} } @$nodes;
}


# what has come so far, or comes at once

sub complaints {
    my ($self) = @_;
    $self->value('1');
    return @{$self->{complaints}};
}


1;
