package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/database"
	"orgconsole/internal/handlers"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/metrics"
	"orgconsole/internal/stytch"
)

type serveCmd struct {
	settings
}

func (c serveCmd) Run(p *program) error {
	cfg, err := c.load(p.getenv)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(p.stderr, &slog.HandlerOptions{Level: cfg.logLevel}))
	l, err := listen(p.ctx, cfg.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if cfg.publicURL == nil {
		if cfg.publicURL, err = url.Parse(listenURL(l)); err != nil {
			return fmt.Errorf("public URL: %w", err)
		}
	}
	if err := fillKeys(&cfg, logger); err != nil {
		return err
	}
	counted, told, err := serveMetrics(p.ctx, cfg.metricsAddr, logger)
	if err != nil {
		return err
	}
	defer told.drain(p.ctx, logger)
	console, err := newConsole(p.ctx, cfg, nil, counted, logger)
	if err != nil {
		return err
	}
	defer console.close()
	server := serve(l, console.handler, logger)
	logger.InfoContext(p.ctx, "serving",
		slog.String("addr", l.Addr().String()), slog.String("public_url", cfg.publicURL.String()), slog.String("build", buildName()))
	select {
	case err = <-server.failed:
	case err = <-told.failed:
	case <-p.ctx.Done():
		logger.InfoContext(p.ctx, "draining")
	}
	server.drain(p.ctx, logger)
	return err
}

// answerStep is coarse beside what the upstream takes longer or shorter for one
// refusal than for another, and short beside a person's patience.
const answerStep = 300 * time.Millisecond

// console is everything of one process but its listener.
type console struct {
	handler http.Handler
	close   func() // stops the background work, then the store; call it when no request is under way any more
}

// newConsole wires the console in the order things depend on each other and starts its background work.
func newConsole(ctx context.Context, cfg config, demo *handlers.Demo, counted *metrics.Metrics, logger *slog.Logger) (*console, error) {
	options := []stytch.Option{stytch.WithUserAgent("orgconsole/" + version), stytch.WithObserver(counted.Call)}
	if cfg.baseURL != "" {
		options = append(options, stytch.WithBaseURL(cfg.baseURL))
	}
	client, err := stytch.New(cfg.projectID, cfg.secret, options...)
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, cfg.databaseURL)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	c, err := newConsoleOn(ctx, db, client, cfg, demo, counted, logger)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

// newConsoleOn is the part of newConsole after which the store has to be closed.
func newConsoleOn(ctx context.Context, db *database.DB, client *stytch.Client, cfg config, demo *handlers.Demo, counted *metrics.Metrics, logger *slog.Logger) (*console, error) {
	log, err := audit.New(db, cfg.auditKey, audit.Options{Now: db.Now, Rand: rand.Reader, Build: buildName(), Logger: logger, OldKeys: cfg.auditOldKeys})
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	if err := log.Start(ctx); err != nil {
		return nil, fmt.Errorf("start audit log: %w", err)
	}
	authorizer := authz.New(client, time.Now)
	desk, err := helpdesk.New(helpdesk.Deps{
		DB: db, Audit: log, Stytch: client, Authz: authorizer, Now: db.Now, Rand: rand.Reader, Logger: logger,
		ReasonRequired: cfg.reasonRequired, TicketPattern: cfg.ticketPattern,
	})
	if err != nil {
		return nil, fmt.Errorf("open helpdesk: %w", err)
	}
	// The signal that ends ctx starts the draining; what settles unknown outcomes goes on until that is done.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var jwts *stytch.JWTVerifier
	if len(cfg.sharedCookies) > 0 {
		if jwts, err = client.NewJWTVerifier(background); err != nil {
			stop()
			return nil, fmt.Errorf("verify session JWTs: %w", err)
		}
	}
	out, err := newStreams(log, cfg, logger, counted)
	if err != nil {
		stop()
		return nil, err
	}
	counted.Unsettled(desk.CountUnsettled)
	var running sync.WaitGroup
	//nolint:contextcheck // what New renders in advance belongs to no request and to no start
	handler, err := handlers.New(handlers.Deps{
		Stytch: client, Authz: authorizer, Audit: log, Desk: desk, JWTs: jwts, DB: db, Logger: logger, Now: time.Now, Lag: out.sink, Count: counted.Request,
		Background: func(run func(ctx context.Context)) { running.Go(func() { run(background) }) },
		Config: handlers.Config{
			PublicURL: cfg.publicURL, TrustedProxies: cfg.trustedProxies, SessionKeys: cfg.sessionKeys,
			PublicToken: cfg.publicToken, SharedCookies: cfg.sharedCookies, AnswerStep: answerStep,
			SessionIdle: cfg.sessionIdle, SessionMax: cfg.sessionMax, ReasonRequired: cfg.reasonRequired,
			TicketPattern: cfg.ticketPattern, TimeZone: cfg.timeZone, OfficeHours: cfg.officeHours, Demo: demo, Build: buildName(),
		},
	})
	if err != nil {
		stop()
		return nil, fmt.Errorf("build pages: %w", err)
	}
	running.Go(func() { desk.Run(background) })
	out.run(background, &running)
	running.Go(func() { log.Run(background) })
	if cfg.auditRetention > 0 {
		running.Go(func() { desk.Retain(background, cfg.auditRetention) })
	}
	return &console{handler: handler, close: func() {
		stop()
		running.Wait()
		if err := db.Close(); err != nil {
			logger.Error("close store", slog.Any("error", err))
		}
	}}, nil
}
